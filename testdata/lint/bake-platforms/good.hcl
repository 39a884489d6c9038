variable "TAG" {
  default = "1"
}
target "_base" {
  platforms = ["linux/amd64", "linux/arm64"]
}
target "app" {
  inherits = ["_base"]
  tags     = ["example/app:${TAG}"]
}
target "binaries" {
  tags   = ["x"]
  output = ["type=local,dest=out"]
}
target "test" {
  target = "test"
}
# imgarch ignore=bake-platforms
target "native" {
  tags = ["example/native:1"]
}
