{{/* What each isolation profile grants. `none` has no entry: it limits nothing. */}}

{{/*
What a namespace may hold, in two parts: `workloads`, the resources that a quota with a scope can count, and `objects`, the others.
The numbers of objects are high enough that only an accident or an attack gets there.
*/}}
{{- define "virtual-cluster.quota" -}}
{{- $objects := dict
  "count/configmaps" "1000"
  "count/endpointslices.discovery.k8s.io" "1000"
  "count/ingresses.networking.k8s.io" "100"
  "count/networkpolicies.networking.k8s.io" "200"
  "count/persistentvolumeclaims" "50"
  "count/poddisruptionbudgets.policy" "100"
  "count/secrets" "2000"
  "count/services" "200"
  "count/volumesnapshots.snapshot.storage.k8s.io" "20"
  "requests.storage" "100Gi"
  "services.loadbalancers" "0"
  "services.nodeports" "0"
-}}
{{- $profiles := dict
  "baseline" (dict
    "limits.memory" "16Gi"
    "pods" "100"
    "requests.cpu" "4"
    "requests.memory" "8Gi")
  "restricted" (dict
    "limits.cpu" "8"
    "limits.memory" "4Gi"
    "pods" "30"
    "requests.cpu" "2"
    "requests.memory" "4Gi")
-}}
{{- $all := mergeOverwrite $objects (get $profiles .Values.isolation.profile) .Values.isolation.quota -}}
{{- dict "workloads" (pick $all "pods" "requests.cpu" "requests.memory" "limits.cpu" "limits.memory") "objects" (omit $all "pods" "requests.cpu" "requests.memory" "limits.cpu" "limits.memory") | toYaml -}}
{{- end -}}

{{/* `true` where the chart's own network policies are there. */}}
{{- define "virtual-cluster.isNetworkIsolated" -}}
{{- and .Values.isolation.networkPolicy.enabled (ne .Values.isolation.profile "none") -}}
{{- end -}}

{{/* What a container gets that says nothing, so that a quota on requests and limits refuses no plain manifest. */}}
{{- define "virtual-cluster.containerDefaults" -}}
{{- $profiles := dict
  "baseline" (dict
    "defaultRequest" (dict "cpu" "20m" "memory" "64Mi")
    "default" (dict "memory" "512Mi"))
  "restricted" (dict
    "defaultRequest" (dict "cpu" "20m" "memory" "64Mi")
    "default" (dict "cpu" "1" "memory" "256Mi"))
-}}
{{- mergeOverwrite (get $profiles .Values.isolation.profile) .Values.isolation.containerDefaults | toYaml -}}
{{- end -}}

{{/* The limits among them, for the syncer: `cpu=1,memory=256Mi`. */}}
{{- define "virtual-cluster.defaultLimits" -}}
{{- if ne .Values.isolation.profile "none" -}}
{{- $limits := list -}}
{{- range $resource, $limit := (include "virtual-cluster.containerDefaults" . | fromYaml).default -}}
{{- $limits = append $limits (printf "%s=%v" $resource $limit) -}}
{{- end -}}
{{- $limits | join "," -}}
{{- end -}}
{{- end -}}
