{{- define "mimir-rls.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "mimir-rls.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "mimir-rls.labels" -}}
{{ include "mimir-rls.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "mimir-rls.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "mimir-rls.fullname" .) -}}
{{- end -}}

{{/* NAMESPACE/CONFIGMAP if mimir-rls watches the ConfigMap itself, else empty. */}}
{{- define "mimir-rls.configMap" -}}
{{- if hasPrefix "kube:" .Values.limits.source -}}
{{- trimPrefix "kube:" .Values.limits.source -}}
{{- end -}}
{{- end -}}

{{/* The default of --max-in-flight-bytes: room for 4 of the largest messages. A message has up to 1 MiB in addition to the body. */}}
{{- define "mimir-rls.inFlightBytes" -}}
{{- $least := mul 4 (add (int64 .Values.limits.maxRequestBytes) 1048576) -}}
{{- with .Values.limits.maxInFlightBytes -}}
{{- if lt (int64 .) $least -}}
{{- fail (printf "limits.maxInFlightBytes is %d: a quarter of it must hold a push of limits.maxRequestBytes and 1 MiB, so it must be at least %d" (int64 .) $least) -}}
{{- end -}}
{{- int64 . -}}
{{- else -}}
{{- max 268435456 $least -}}
{{- end -}}
{{- end -}}

{{/* Resources, with a memory limit that covers all that mimir-rls may allocate ("Memory" in docs/reliability.md): the bytes in flight plus a quarter, for
the overhead of the allocator; the memory for decoding, which is two of the largest bodies plus 32 MiB for each; and 384 MiB for limits, tenants, pairs,
connections and buffers that threads keep. */}}
{{- define "mimir-rls.resources" -}}
{{- $resources := deepCopy .Values.resources -}}
{{- $limits := $resources.limits | default dict -}}
{{- if not $limits.memory -}}
{{- $inFlight := include "mimir-rls.inFlightBytes" . | int64 -}}
{{- $reading := mul 2 (add 33554432 (int64 .Values.limits.maxDecodedBytes)) -}}
{{- $bytes := add $inFlight (div $inFlight 4) $reading -}}
{{- $limits = set $limits "memory" (printf "%dMi" (add 384 (div $bytes 1048576))) -}}
{{- end -}}
{{- toYaml (set $resources "limits" $limits) -}}
{{- end -}}

{{/* YAML reads `off` as a boolean; for mimir-rls it is a mode. */}}
{{- define "mimir-rls.edgeConfig" -}}
{{- $config := deepCopy .Values.edgeConfig -}}
{{- range $entry := prepend (values ($config.tenants | default dict)) $config -}}
{{- if and (kindIs "map" $entry) (hasKey $entry "mode") (kindIs "bool" $entry.mode) -}}
{{- $_ := set $entry "mode" "off" -}}
{{- end -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}
