{{/* Rights on the host. Who installs the chart must hold them, or Kubernetes refuses to let him grant them. */}}

{{- define "virtual-cluster.syncerRules" -}}
- apiGroups: [""]
  resources: [pods, services, configmaps, secrets]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [""]
  resources: [pods/status, pods/ephemeralcontainers, pods/resize]
  verbs: [update, patch]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
# `get` is the verb of these when the client speaks WebSocket.
- apiGroups: [""]
  resources: [pods/exec, pods/attach, pods/portforward]
  verbs: [get, create]
- apiGroups: [""]
  resources: [events]
  verbs: [get, list, watch]
- apiGroups: [metrics.k8s.io]
  resources: [pods]
  verbs: [get, list]
{{- end -}}

{{- define "virtual-cluster.hostReadRules" -}}
- apiGroups: [""]
  resources: [nodes]
  verbs: [get, list, watch]
- apiGroups: [storage.k8s.io]
  resources: [storageclasses]
  verbs: [get, list, watch]
- apiGroups: [networking.k8s.io]
  resources: [servicecidrs]
  verbs: [get, list, watch]
{{- end -}}
