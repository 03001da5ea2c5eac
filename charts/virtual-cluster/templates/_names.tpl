{{/* Names, labels and images: what the other templates refer to each other by. */}}

{{/* The release's name is the cluster's; what it is part of must still fit 63 characters. */}}
{{- define "virtual-cluster.name" -}}
{{- if not (regexMatch "^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$" .Release.Name) -}}
{{- fail (printf "the release name %q names the cluster and must be a DNS label of at most 40 characters that begins with a letter" .Release.Name) -}}
{{- end -}}
{{- .Release.Name -}}
{{- end -}}

{{- define "virtual-cluster.selector" -}}
app.kubernetes.io/name: virtual-cluster
app.kubernetes.io/instance: {{ include "virtual-cluster.name" . }}
{{- end -}}

{{- define "virtual-cluster.labels" -}}
{{ include "virtual-cluster.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* Cluster-scoped names hold namespace and name apart by a character that neither can have. */}}
{{- define "virtual-cluster.clusterScopedName" -}}
{{- printf "mayfly:%s:%s" .Release.Namespace (include "virtual-cluster.name" .) -}}
{{- end -}}

{{- define "virtual-cluster.kubernetesVersion" -}}
{{- $tested := dict "1.34" "v1.34.4" -}}
{{- $version := .Values.kubernetes.version -}}
{{- if hasKey $tested $version -}}
{{- get $tested $version -}}
{{- else if hasPrefix "v" $version -}}
{{- $version -}}
{{- else -}}
{{- fail (printf "kubernetes.version: no patch release of %s was tested with this chart; name one in full" $version) -}}
{{- end -}}
{{- end -}}

{{- define "virtual-cluster.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}

{{/* Which image writes /etc/hosts of pods with a subdomain; empty for none. Workloads have no secrets of the chart's. */}}
{{- define "virtual-cluster.hostsImage" -}}
{{- with .Values.syncer.hostsFile -}}
{{- if and .enabled (or .image (not $.Values.imagePullSecrets)) -}}
{{- .image | default (include "virtual-cluster.image" $) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The host's own range of Service addresses: ServiceCIDR objects are served since Kubernetes 1.33. */}}
{{- define "virtual-cluster.serviceCIDR" -}}
{{- if .Values.serviceCIDR -}}
{{- .Values.serviceCIDR -}}
{{- else if .Capabilities.APIVersions.Has "networking.k8s.io/v1/ServiceCIDR" -}}
{{- $range := lookup "networking.k8s.io/v1" "ServiceCIDR" "" "kubernetes" -}}
{{- dig "spec" "cidrs" (list "10.96.0.0/16") $range | join "," -}}
{{- else -}}
10.96.0.0/16
{{- end -}}
{{- end -}}
