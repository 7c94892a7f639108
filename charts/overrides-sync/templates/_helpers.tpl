{{- define "overrides-sync.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "overrides-sync.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "overrides-sync.labels" -}}
{{ include "overrides-sync.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "overrides-sync.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "overrides-sync.fullname" .) -}}
{{- end -}}

{{- define "overrides-sync.webhookSecret" -}}
{{- .Values.webhook.secretName | default (printf "%s-webhook-tls" (include "overrides-sync.fullname" .)) -}}
{{- end -}}

{{- /* The ConfigMap as in --limits, without keys. */}}
{{- define "overrides-sync.configMap" -}}
{{- .Values.mimir.namespace }}/{{ .Values.mimir.overridesLabel | default .Values.mimir.overridesConfigMap -}}
{{- end -}}
