//! Objects of many kinds, in the form that their projects document.

use super::*;
use crate::kube::parameters::MAX_FILLED;
use crate::yaml;

/// Each container as "KIND/NAME ROLE NAME IMAGE", and whether something was not read.
fn check(text: &str, expected: &[&str], has_unread: bool) {
    let found = find(&yaml::parse(text).unwrap()[0].to_json()).unwrap();
    let line = |workload: &Workload, one: &ContainerUse| {
        format!("{} {} {} {}", workload.title(), one.role.word(), one.name, one.image)
    };
    let lines: Vec<String> =
        found.workloads.iter().flat_map(|workload| workload.containers.iter().map(|one| line(workload, one))).collect();
    assert_eq!(lines, expected, "{text}");
    assert_eq!(found.has_unread, has_unread, "{text}");
}

#[test]
fn pod_templates_are_found_in_every_kind() {
    let template = "{spec: {containers: [{name: c, image: 'a:1'}]}}";
    for (kind, spec) in [
        ("keda.sh/v1alpha1 ScaledJob", "{jobTargetRef: {template: TPL}}"),
        ("jobset.x-k8s.io/v1alpha2 JobSet", "{replicatedJobs: [{name: w, template: {spec: {template: TPL}}}]}"),
        ("serving.knative.dev/v1 Service", "{template: TPL}"),
        ("apps.kruise.io/v1alpha1 AdvancedCronJob", "{template: {jobTemplate: {spec: {template: TPL}}}}"),
        ("apps.kruise.io/v1alpha1 CloneSet", "{template: TPL}"),
        ("argoproj.io/v1alpha1 Rollout", "{template: TPL}"),
        ("argoproj.io/v1alpha1 Experiment", "{templates: [{name: e, template: TPL}]}"),
        ("leaderworkerset.x-k8s.io/v1 LeaderWorkerSet", "{leaderWorkerTemplate: {workerTemplate: TPL}}"),
        ("kubeflow.org/v1 PyTorchJob", "{pytorchReplicaSpecs: {Master: {template: TPL}}}"),
        ("apps/v1 Deployment", "{template: TPL}"),
    ] {
        let (version, kind) = kind.split_once(' ').unwrap();
        let spec = spec.replace("TPL", template).replace("{{", "{ {");
        let text = format!("{{apiVersion: {version}, kind: {kind}, metadata: {{name: x}}, spec: {spec}}}");
        check(&text, &[&format!("{}/x container c a:1", kind.to_lowercase())], false);
    }
}

#[test]
fn containers_scripts_sidecars_and_sets_of_workflows_are_found() {
    check(
        "{apiVersion: argoproj.io/v1alpha1, kind: CronWorkflow, metadata: {generateName: w-}, spec: {workflowSpec: {
            nodeSelector: {kubernetes.io/arch: arm64}, arguments: {parameters: [{name: tag, value: '3'}]}, templates: [
            {name: m, container: {image: 'm:{{workflow.parameters.tag}}'}, sidecars: [{name: s, image: 's:1'}]},
            {name: t, script: {image: 't:1', command: [bash], source: 'exec app'}},
            {name: u, containerSet: {containers: [{name: c, image: 'c:1'}]}, initContainers: [{name: i, image: 'i:1'}]},
            {name: v, container: {image: '{{inputs.parameters.image}}'}}]}}}",
        &[
            "cronworkflow/w- container m m:3",
            "cronworkflow/w- container s s:1",
            "cronworkflow/w- container t t:1",
            "cronworkflow/w- init container i i:1",
            "cronworkflow/w- container c c:1",
        ],
        true,
    );
}

#[test]
fn tekton_steps_are_found_in_every_place_for_a_task() {
    check(
        "{apiVersion: tekton.dev/v1, kind: PipelineRun, metadata: {name: r}, spec: {pipelineSpec: {tasks: [{name: t, taskSpec: {
            params: [{name: base, default: 'b:1'}], steps: [{name: a, image: $(params.base)}, {name: b, image: $(params.none)}],
            sidecars: [{name: d, image: 'd:1'}]}}]}}}",
        &["pipelinerun/r container d d:1", "pipelinerun/r container a b:1"],
        true,
    );
    check(
        "{apiVersion: tekton.dev/v1beta1, kind: StepAction, metadata: {name: sa}, spec: {image: 'sa:1', script: 'app'}}",
        &["stepaction/sa container spec sa:1"],
        false,
    );
}

#[test]
fn a_script_is_passed_to_its_shell() {
    let text = "{apiVersion: tekton.dev/v1, kind: Task, metadata: {name: t}, spec: {steps: [{name: a, image: 'a:1', script: S}]}}";
    for (script, expected) in [
        ("'app serve'", vec!["/bin/sh", "-c", "app serve"]),
        ("\"#!/usr/bin/env bash\\napp\"", vec!["/usr/bin/env", "bash", "-c", "#!/usr/bin/env bash\napp"]),
        ("\"#!/usr/bin/python3\\nx\"", vec!["/usr/bin/python3"]),
        ("'app $(params.x)'", vec!["/bin/sh"]),
    ] {
        let found = find(&yaml::parse(&text.replace('S', script)).unwrap()[0].to_json()).unwrap();
        assert_eq!(found.workloads[0].containers[0].call.entrypoint.as_deref().unwrap(), expected, "{script}");
    }
}

#[test]
fn fields_disks_and_volumes_that_name_an_image_are_found() {
    check(
        "{apiVersion: monitoring.coreos.com/v1, kind: Alertmanager, metadata: {name: m}, spec: {image: 'q.io/am:v1',
            nodeSelector: {kubernetes.io/arch: arm64}, containers: [{name: patched, args: [x]}]}}",
        &["alertmanager/m field spec.image q.io/am:v1"],
        false,
    );
    check(
        "{apiVersion: kubevirt.io/v1, kind: VirtualMachine, metadata: {name: v}, spec: {template: {spec: {volumes: [
            {name: d, containerDisk: {image: 'disk:1'}}]}}}}",
        &["virtualmachine/v container disk d disk:1"],
        false,
    );
    check(
        "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, image: 'c:1'}], volumes: [
            {name: v, image: {reference: 'tool:1'}}]}}",
        &["pod/p container c c:1", "pod/p image volume v tool:1"],
        false,
    );
    check(
        "{apiVersion: postgresql.cnpg.io/v1, kind: Cluster, metadata: {name: c}, spec: {imageName: 'g.io/pg:16'}}",
        &["cluster/c field spec.imageName g.io/pg:16"],
        false,
    );
    check(
        "{apiVersion: helm.toolkit.fluxcd.io/v2, kind: HelmRelease, metadata: {name: h}, spec: {values: {
            image: {registry: g.io, repository: a/b, tag: 1.2.3}, sub: {image: {tag: x}}}}}",
        &["helmrelease/h field spec.values.image g.io/a/b:1.2.3"],
        true,
    );
}

#[test]
fn descriptions_patterns_and_machines_name_no_image() {
    for text in [
        "{apiVersion: v1, kind: Service, metadata: {name: s, labels: {image: 'a:1'}}, spec: {ports: []}}",
        "{apiVersion: kyverno.io/v1, kind: ClusterPolicy, metadata: {name: p}, spec: {rules: [{containers: [{image: '*:latest'}]}]}}",
        "{apiVersion: image.toolkit.fluxcd.io/v1, kind: ImageRepository, spec: {image: 'x.io/a'}}",
        "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, spec: {image: 'a:1'}}",
        "{apiVersion: infrastructure.cluster.x-k8s.io/v1, kind: OpenStackMachineTemplate, spec: {image: ubuntu-22.04}}",
        "{apiVersion: x.io/v1, kind: Page, spec: {image: 'https://x.io/a.png', backgroundImage: /a.png, osImage: Ubuntu 24.04}}",
        "{apiVersion: x.io/v1, kind: Page, status: {image: 'a:1'}}",
    ] {
        check(text, &[], false);
    }
    check(
        "{apiVersion: kustomize.config.k8s.io/v1beta1, kind: Kustomization, images: [{name: a, newTag: '2'}]}",
        &[],
        true,
    );
    check(
        "{kind: Kustomization, patches: [{patch: \"- op: replace\\n  path: /spec/containers/0/image\\n  value: 'b:3'\\n\"}]}",
        &[],
        true,
    );
}

#[test]
fn parameters_that_are_filled_in_are_bounded() {
    let value = "x".repeat(64 << 10);
    let args: Vec<String> = (0..20_000).map(|_| "'{{inputs.parameters.a}}'".to_string()).collect();
    let text = format!(
        "{{apiVersion: argoproj.io/v1alpha1, kind: Workflow, metadata: {{name: x}}, spec: {{arguments: {{parameters: \
         [{{name: a, value: {value}}}]}}, templates: [{{name: t, container: {{image: 'a:1', args: [{}]}}}}]}}}}",
        args.join(", ")
    );
    let found = find(&yaml::parse(&text).unwrap()[0].to_json()).unwrap();
    let call = &found.workloads[0].containers[0].call;
    let bytes: usize = call.args.iter().flatten().map(String::len).sum();
    assert!((64 << 10..=MAX_FILLED + (1 << 20)).contains(&bytes), "{bytes}");
}

#[test]
fn images_that_are_not_containers_of_a_pod_are_found() {
    check(
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {template: {
            metadata: {annotations: {sidecar.istio.io/proxyImage: 'docker.io/istio/proxyv2:1.20', note: 'image a.b/c:1'}},
            spec: {containers: [{name: c, image: 'c:1', env: [{name: RELATED_IMAGE_A, value: 'q.io/a/b:1'},
                {name: PATH, value: /a}], args: ['--x-image=q.io/x:1', --y-image, 'q.io/y:1', --image, z]}],
                volumes: [{name: v, csi: {volumeAttributes: {image: 'vol:1'}}}, {name: w, image: {reference: 'r:1'}}]}}}}",
        &[
            "deployment/d container c c:1",
            "deployment/d image volume w r:1",
            "deployment/d field annotation sidecar.istio.io/proxyImage docker.io/istio/proxyv2:1.20",
            "deployment/d field env RELATED_IMAGE_A q.io/a/b:1",
            "deployment/d field option x-image q.io/x:1",
            "deployment/d field option y-image q.io/y:1",
            "deployment/d image volume v vol:1",
        ],
        false,
    );
    check(
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: m}, data: {ROOK_CSI_IMAGE: 'q.io/c:1', IMAGE_NAME: c}}",
        &["configmap/m field data.ROOK_CSI_IMAGE q.io/c:1"],
        false,
    );
}

#[test]
fn images_in_variables_are_mentioned_or_started() {
    let of = |env: &str| {
        let container = format!("{{name: c, image: 'c:1', {env}}}");
        format!("{{apiVersion: v1, kind: Pod, metadata: {{name: p}}, spec: {{containers: [{container}]}}}}")
    };
    let own = "pod/p container c c:1";
    let tool = "pod/p field env TOOL_IMAGE q.io/a/b:1";
    check(&of("env: [{name: TOOL_IMAGE, value: 'q.io/a/b:1'}]"), &[own, tool], false);
    check(&of("envFrom: [{prefix: TOOL_, values: {IMAGE: 'q.io/a/b:1'}}]"), &[own, tool], false);
    for source in ["secretKeyRef", "configMapKeyRef"] {
        let from = format!("valueFrom: {{{source}: {{name: s, key: k}}}}");
        check(&of(&format!("env: [{{name: TOOL_IMAGE, {from}}}]")), &[own], true);
        check(&of(&format!("env: [{{name: IMAGE_BUCKET, {from}}}]")), &[own], false);
        check(&of(&format!("env: [{{name: TOOL_IMAGE, value: 'q.io/a/b:1', {from}}}]")), &[own, tool], false);
    }
    check(&of("env: [{name: TOOL_IMAGE, valueFrom: {fieldRef: {fieldPath: a}}}]"), &[own], false);
    check(&of(&format!("env: [{{name: TOOL_IMAGE, value: 'q.io/{UNKNOWN_TEXT}'}}]")), &[own], true);
    let purpose = |name: &str| {
        let text = of(&format!("env: [{{name: {name}, value: 'q.io/a/b:1'}}]"));
        let found = find(&yaml::parse(&text).unwrap()[0].to_json()).unwrap();
        found
            .workloads
            .into_iter()
            .flat_map(|one| one.containers)
            .find(|one| one.role == ContainerRole::Field)
            .unwrap()
            .call
            .purpose
    };
    assert_eq!((purpose("RELATED_IMAGE_A"), purpose("TOOL_IMAGE")), (Purpose::Started, Purpose::Mentioned));
}

#[test]
fn patches_and_templates_of_pods_are_not_passed_over() {
    let patch = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {template: {spec: SPEC}}}";
    let of = |spec: &str| patch.replace("SPEC", spec);
    check(&of("{containers: [{name: c, env: []}]}"), &[], false);
    check(&of("{initContainers: [{name: i, image: 'i:1'}]}"), &["deployment/d init container i i:1"], false);
    check(
        &of("{containers: [{name: c, image: '${IMAGE}'}, {name: e, image: 'e:1'}]}"),
        &["deployment/d container e e:1"],
        true,
    );
    check(&of("{containers: [{name: c, image: '{ { .Values.image } }'}]}"), &[], true);
    check(
        "{apiVersion: template.openshift.io/v1, kind: Template, metadata: {name: t}, parameters: [{name: TAG, value: '3'}, {name: X}],
            objects: [{apiVersion: v1, kind: Pod, spec: {containers: [{name: c, image: 'a:${TAG}'}, {name: d, image: '${X}'}]}}]}",
        &["template/t container c a:3"],
        true,
    );
}

#[test]
fn texts_with_manifests_and_values_are_not_passed_over() {
    check(
        "{apiVersion: argoproj.io/v1alpha1, kind: Workflow, metadata: {name: w}, spec: {templates: [{name: r, resource: {manifest:
            \"kind: Pod\\nspec:\\n  containers: [{name: c, image: 'in:1'}]\\n\"}}]}}",
        &["workflow/w container c in:1"],
        false,
    );
    let application =
        "{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: a}, spec: {source: SOURCE}}";
    for (source, unread) in [
        ("{helm: {values: \"image:\\n  repository: a/b\\n  tag: x\\n\"}}", true),
        ("{helm: {valuesObject: {image: {tag: x}}}}", true),
        ("{helm: {parameters: [{name: image.tag, value: x}]}}", true),
        ("{helm: {parameters: [{name: replicas, value: '2'}]}}", false),
        ("{kustomize: {images: ['a=b']}}", true),
        ("{path: x, repoURL: 'https://x.io/image:1'}", false),
    ] {
        check(&application.replace("SOURCE", source), &[], unread);
    }
    let kustomize = application.replace("SOURCE", "{kustomize: {images: ['a=b:2', 'c:1']}}");
    let field = |image: &str| format!("application/a field spec.source.kustomize.images {image}");
    check(&kustomize, &[&field("b:2"), &field("c:1")], false);
}

#[test]
fn fields_next_to_an_image_complete_its_name() {
    check(
        "{apiVersion: nvidia.com/v1, kind: ClusterPolicy, metadata: {name: p}, spec: {
            driver: {repository: nvcr.io/nvidia, image: driver, version: '525'}, toolkit: {image: q.io/t, tag: v1},
            images: {server: 'q.io/s:1', name: s}, imageRef: 'q.io/r:1'}}",
        &[
            "clusterpolicy/p field spec.driver.image nvcr.io/nvidia/driver:525",
            "clusterpolicy/p field spec.imageRef q.io/r:1",
            "clusterpolicy/p field spec.images.server q.io/s:1",
            "clusterpolicy/p field spec.toolkit.image q.io/t:v1",
        ],
        false,
    );
    check(
        "{apiVersion: kubevirt.io/v1, kind: VirtualMachineInstance, metadata: {name: v}, spec: {domain: {firmware: {kernelBoot:
            {container: {image: 'boot:1', kernelPath: /k}}}}}}",
        &["virtualmachineinstance/v container disk  boot:1"],
        false,
    );
}
