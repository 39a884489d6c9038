//! Messages of registry clients, engines and services about an image's platforms.

use super::message_table;

#[rustfmt::skip]
message_table! { TABLE:
    Docker NoPlatformInIndex, "no matching manifest for {node} in the manifest list entries",
        "no matching manifest for linux/arm64/v8 in the manifest list entries";
    Docker NoPlatformInIndex, "no supported platform found in manifest list",
        "Failed to pull image \"app:1\": rpc error: code = Unknown desc = no supported platform found in manifest list";
    Containerd NoPlatformInIndex, "no match for current platform {=node} in manifest",
        "no match for current platform linux/arm/v7 in manifest sha256:32efb15c: not found";
    Containerd NoPlatformInIndex, "no match for platform in manifest",
        "Failed to pull image \"app:1\": rpc error: code = NotFound desc = failed to pull and unpack image \"docker.io/library/app:1\": no match for platform in manifest: not found";
    Containerd NoPlatformInIndex, "image might be filtered out",
        "ctr: image might be filtered out";
    Containerd NoPlatformInIndex, "no unpack platforms defined",
        "ctr: no unpack platforms defined: invalid argument";
    Containerd NoPlatformInIndex, "snapshotter {=name} does not support platform {=node} for image",
        "snapshotter overlayfs does not support platform linux/arm64 for image sha256:51e0";
    Containerd NoPlatformInIndex, "no manifest found for platform",
        "ctr: no manifest found for platform: not found";
    PodmanPull NoPlatformInIndex, "no image found in image index for architecture \"{node}\"",
        "no image found in image index for architecture \"arm64\", variant \"v8\", OS \"linux\"";
    PodmanPull NoPlatformInIndex, "no image found in manifest list for architecture \"{node}\"",
        "Error: choosing an image from manifest list docker://app: no image found in manifest list for architecture \"arm64\", variant \"v8\", OS \"linux\"";
    PodmanPull NoPlatformInIndex, "no image found in manifest list for architecture",
        "choosing an image from manifest list docker://app: no image found in manifest list for architecture arm64, OS linux";
    PodmanPull NoPlatformInIndex, "no image found in image index for architecture",
        "choosing image instance: no image found in image index for architecture amd64, OS linux";
    Crane NoPlatformInIndex, "no child with platform {=node} in index",
        "error building image: no child with platform linux/arm64 in index index.docker.io/library/app:1";
    Crane NoPlatformInIndex, "no matching platforms in base image index",
        "Error: error creating runner: no matching platforms in base image index";
    Apptainer PlatformRefused, "the image's architecture ({image}) could not run on the host's ({node})",
        "FATAL:   While checking container encryption: could not open image app.sif: the image's architecture (arm64) could not run on the host's (amd64)";
    HomeAssistant NoPlatformInIndex, "not supported on this platform, supported architectures: {=image}",
        "Add-on local_ssh not supported on this platform, supported architectures: i386";
    Snowflake NoPlatformInIndex, "SPCS only supports image for {=node} architecture",
        "Failed to retrieve image: SPCS only supports image for amd64 architecture. Please rebuild your image with '--platform linux/amd64' option";
    Docker NoPlatformInIndex, "does not have a manifest for platform {=node}",
        "image \"app:1\" does not have a manifest for platform linux/arm64";
    Docker NoPlatformInIndex, "no suitable node (unsupported platform on {nodes})",
        "web.1  app:1  node2  Shutdown  Rejected  \"no suitable node (unsupported platform on 3 nodes)\"";
    Containerd UnpackSkipped, "parent snapshot {snapshot} does not exist",
        "failed to create containerd container: error unpacking image: parent snapshot sha256:51e0 does not exist: not found";
    Docker PlatformMismatch, "requested image's platform ({image}) does not match the detected host platform ({node})",
        "WARNING: The requested image's platform (linux/amd64) does not match the detected host platform (linux/arm64/v8) and no specific platform was requested";
    Docker NoPlatformInIndex, "was found but its platform ({image}) does not provide the specified platform ({node})",
        "image with reference app:1 was found but its platform (linux/amd64) does not provide the specified platform (linux/arm64)";
    Docker PlatformRefused, "was found but its platform ({image}) does not match the specified platform ({node})",
        "image with reference app:1 was found but its platform (linux/amd64) does not match the specified platform (linux/arm64)";
    Docker PlatformRefused, "was found but does not match the specified platform: wanted {=node}, actual: {=image}",
        "image with reference app:1 was found but does not match the specified platform: wanted linux/arm64, actual: linux/amd64";
    Docker NoPlatformInIndex, "was found but does not provide the specified platform ({node})",
        "image with reference app:1 was found but does not provide the specified platform (linux/arm64)";
    Docker NoPlatformInIndex, "was found but does not provide any platform",
        "image with reference app:1 was found but does not provide any platform";
    Docker NoPlatformInIndex, "cannot be used on this platform",
        "image operating system \"windows\" cannot be used on this platform: operating system is not supported";
    Podman PlatformMismatch, "image platform ({image}) does not match the expected platform ({node})",
        "WARNING: image platform (linux/arm64/v8) does not match the expected platform (linux/amd64)";
    BuildKit PlatformMismatch, "was pulled with platform \"{image}\", expected \"{node}\" for current build",
        "InvalidBaseImagePlatform: Base image app:1 was pulled with platform \"linux/amd64\", expected \"linux/arm64\" for current build";
    Fargate NoPlatformInIndex, "does not contain descriptor matching platform '{node}'",
        "CannotPullContainerError: image Manifest does not contain descriptor matching platform 'linux/arm64'";
    Fargate NoPlatformInIndex, "does not contain descriptor matching platform",
        "CannotPullContainerError: The manifest does not contain descriptor matching platform";
    Fargate NoPlatformInIndex, "failed to find a descriptor for platform",
        "CannotPullContainerError: failed to find a descriptor for platform {linux/amd64}";
    Azure NoPlatformInIndex, "must be {=node} but found {=image}",
        "Field 'template.containers.app.image' is invalid with details: image OS/Arc must be linux/amd64 but found linux/arm64";
    Azure NoPlatformInIndex, "ImageOsTypeNotMatchContainerGroup",
        "(ImageOsTypeNotMatchContainerGroup) The OS type 'null' of image 'app:1' does not match the OS type 'Linux' of the container group.";
    Azure NoPlatformInIndex, "does not match the OS type '{os}' of the container group",
        "The OS type 'null' of image 'app:1' does not match the OS type 'Linux' of the container group.";
    Azure NoPlatformInIndex, "must support specified '{os}' OS type",
        "The image 'app:1' must support specified 'Linux' Os type.";
    CloudRun NoPlatformInIndex, "must support amd64/linux",
        "Cloud Run does not support image 'app:1': Container manifest type 'application/vnd.oci.image.index.v1+json' must support amd64/linux.";
    CloudRun NoPlatformInIndex, "must support arm64/linux",
        "Container manifest type 'application/vnd.oci.image.index.v1+json' must support arm64/linux.";
    Windows Exec(ENOEXEC), "is not compatible with the version of Windows you're running",
        "hcs::System::CreateProcess app: This version of %1 is not compatible with the version of Windows you're running. (0xd8)";
    Windows NoPlatformInIndex, "container operating system does not match the host operating system",
        "hcs::CreateComputeSystem app: The container operating system does not match the host operating system.";
    Windows NoPlatformInIndex, "-based image is incompatible with a {host} host",
        "a Windows version 10.0.20348-based image is incompatible with a 10.0.17763 host";
}
