target "app" {
  tags = ["example/app:1"]
  args = {
    TARGETARCH = "amd64"
  }
}
