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
{{ if eq .Values.distribution "k3s" -}}
# What k3s finds is laid out as it wants it: src/certificates/k3s.ts.
k3s: []
{{- else -}}
kube-controller-manager:
  - ca.crt
  - ca.key
  - controller-manager.crt
  - controller-manager.key
  - service-account.key
{{- end }}
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

{{- define "virtual-cluster.etcdMount" -}}
{{- if and (eq .Values.store.type "etcd") .Values.store.etcd.secretName -}}
- { name: etcd, mountPath: {{ include "virtual-cluster.etcdFolder" . }}, readOnly: true }
{{- end -}}
{{- end -}}

{{/* /readyz and /livez without the two hooks that ask once a second whether the store is bootstrapped. */}}
{{- define "virtual-cluster.apiProbes" -}}
startupProbe:
  httpGet: { scheme: HTTPS, port: https, path: {{ include "virtual-cluster.healthPath" "/livez" }} }
  periodSeconds: 1
  timeoutSeconds: 5
  failureThreshold: 300
readinessProbe:
  httpGet: { scheme: HTTPS, port: https, path: {{ include "virtual-cluster.healthPath" "/readyz" }} }
  periodSeconds: 1
  timeoutSeconds: 15
livenessProbe:
  httpGet: { scheme: HTTPS, port: https, path: {{ include "virtual-cluster.healthPath" "/livez" }} }
  periodSeconds: 10
  timeoutSeconds: 15
  failureThreshold: 8
{{- end -}}
