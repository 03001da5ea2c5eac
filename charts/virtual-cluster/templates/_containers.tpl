{{/* What all containers of the control plane share, and which files each of them gets to see. */}}

{{- define "virtual-cluster.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* By container, the files of the certificates it needs; src/certificates/plan.ts holds the same list for the init step. */}}
{{- define "virtual-cluster.certificateFiles" -}}
kube-apiserver:
  - ca.crt
  - apiserver.crt
  - apiserver.key
  - apiserver-kubelet-client.crt
  - apiserver-kubelet-client.key
  - front-proxy-ca.crt
  - front-proxy-client.crt
  - front-proxy-client.key
  - service-account.key
  - service-account.pub
kube-controller-manager:
  - ca.crt
  - ca.key
  - controller-manager.crt
  - controller-manager.key
  - service-account.key
syncer:
  - ca.crt
  - syncer.crt
  - syncer.key
  - kubelet.crt
  - kubelet.key
  - webhook.crt
  - webhook.key
{{- end -}}

{{/* Credentials for the host API, mounted explicitly where they are needed and nowhere else. */}}
{{- define "virtual-cluster.hostCredentialsMount" -}}
- name: host-credentials
  mountPath: /var/run/secrets/kubernetes.io/serviceaccount
  readOnly: true
{{- end -}}
