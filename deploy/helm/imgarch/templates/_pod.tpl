{{- define "imgarch.image" -}}
{{ .Values.image }}:{{ .Values.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "imgarch.podSecurity" -}}
securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: RuntimeDefault } }
{{- end -}}

{{- define "imgarch.containerSecurity" -}}
securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: [ALL] } }
{{- end -}}

{{- define "imgarch.mounts" -}}
volumeMounts:
  - { name: tmp, mountPath: /tmp }
  - { name: docker, mountPath: /docker, readOnly: true }
{{- end -}}

{{- define "imgarch.volumes" -}}
volumes:
  - { name: tmp, emptyDir: {} }
  - name: docker
    secret: { secretName: {{ .Values.pullSecret | quote }}, optional: true, items: [{ key: .dockerconfigjson, path: config.json }] }
{{- end -}}
