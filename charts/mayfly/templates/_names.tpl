{{/* Names and labels. Cluster-wide objects carry the release's name too, so two releases of one name cannot be installed. */}}
{{- define "mayfly.name" -}}
{{- if contains "mayfly" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-mayfly" (.Release.Name | trunc 33 | trimSuffix "-") }}{{ end }}
{{- end }}

{{- define "mayfly.selectorLabels" -}}
app.kubernetes.io/name: mayfly
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "mayfly.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "mayfly.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "mayfly.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* Empty when an external Redis needs no password. */}}
{{- define "mayfly.redisSecret" -}}
{{- if .Values.redis.url }}{{ .Values.redis.existingSecret }}{{ else }}{{ include "mayfly.name" . }}-redis{{ end }}
{{- end }}

{{/* Seconds of a duration such as 24h, 90m or 30s. */}}
{{- define "mayfly.seconds" -}}
{{- $number := int64 (trimSuffix "h" (trimSuffix "m" (trimSuffix "s" .))) -}}
{{- if hasSuffix "h" . }}{{ mul $number 3600 }}{{ else if hasSuffix "m" . }}{{ mul $number 60 }}{{ else }}{{ $number }}{{ end }}
{{- end }}

{{- define "mayfly.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "mayfly.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- define "mayfly.scheduling" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What server and worker are told alike. */}}
{{- define "mayfly.commonEnvironment" -}}
- { name: MAYFLY_LOG_LEVEL, value: {{ .Values.logLevel | quote }} }
- { name: MAYFLY_NAMESPACE, value: {{ .Release.Namespace | quote }} }
- { name: MAYFLY_REDIS_URL, value: {{ .Values.redis.url | default (printf "redis://%s-redis.%s.svc:6379" (include "mayfly.name" .) .Release.Namespace) | quote }} }
{{- with .Values.redis.username }}
- { name: MAYFLY_REDIS_USERNAME, value: {{ . | quote }} }
{{- end }}
{{- if include "mayfly.redisSecret" . }}
- { name: MAYFLY_REDIS_PASSWORD_FILE, value: /etc/mayfly/redis/password }
{{- end }}
- { name: MAYFLY_PREVIEW_URL, value: {{ required "previewUrl is required" .Values.previewUrl | quote }} }
- { name: MAYFLY_KUBERNETES_VERSIONS, value: {{ join "," .Values.environments.kubernetesVersions | quote }} }
- { name: MAYFLY_TIME_TO_LIVE_SECONDS, value: {{ include "mayfly.seconds" .Values.environments.timeToLive | quote }} }
- { name: MAYFLY_MAX_TIME_TO_LIVE_SECONDS, value: {{ include "mayfly.seconds" .Values.environments.maxTimeToLive | quote }} }
- { name: MAYFLY_MAX_LIFETIME_SECONDS, value: {{ include "mayfly.seconds" .Values.environments.maxLifetime | quote }} }
{{- end }}
