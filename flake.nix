{
  description = "Finds exec format errors in container images before they are deployed, and explains them after";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      forAllSystems = build: nixpkgs.lib.genAttrs systems (system: build nixpkgs.legacyPackages.${system});
      manifest = (nixpkgs.lib.importTOML ./Cargo.toml).package;
    in
    {
      packages = forAllSystems (pkgs: {
        default = pkgs.rustPlatform.buildRustPackage {
          pname = manifest.name;
          inherit (manifest) version;
          src = self;
          cargoLock.lockFile = ./Cargo.lock;
          buildType = "dist";
          buildFeatures = [ "shared-cache" ];
          # The tests need the network, root and real engines.
          doCheck = false;
          nativeBuildInputs = [ pkgs.installShellFiles ];
          postInstall = ''
            $out/bin/imgarch man --dir man
            installManPage man/*.1
            for shell in bash zsh fish; do $out/bin/imgarch completions $shell > imgarch.$shell; done
            installShellCompletion imgarch.{bash,fish} --zsh imgarch.zsh
          '';
          meta = {
            inherit (manifest) description;
            homepage = manifest.repository;
            license = nixpkgs.lib.licenses.asl20;
            mainProgram = "imgarch";
          };
        };
      });
    };
}
