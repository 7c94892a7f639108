{{- define "envoy.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "envoy.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "envoy.labels" -}}
{{ include "envoy.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "envoy.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "envoy.fullname" .) -}}
{{- end -}}

{{- define "envoy.bootstrap" -}}
{{- $ports := list "pushPort" "metricsPort" "drainPort" -}}
{{- range $index, $name := $ports -}}
{{- range $other := slice $ports (add1 $index) -}}
{{- if eq (get $.Values.listeners $name | int) (get $.Values.listeners $other | int) -}}
{{- fail (printf "listeners.%s and listeners.%s are both %d: each needs a port of its own" $name $other (get $.Values.listeners $name | int)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- tpl (.Files.Get "files/envoy.yaml") . -}}
{{- end -}}

{{- define "envoy.mimirRlsHost" -}}
{{- .Values.mimirRls.host | default (printf "mimir-rls.%s.svc.%s" .Release.Namespace .Values.clusterDomain) -}}
{{- end -}}

{{- define "envoy.mimirHost" -}}
{{- .Values.mimir.host | default (printf "%s.%s.svc.%s" .Values.mimir.distributorService .Values.mimir.namespace .Values.clusterDomain) -}}
{{- end -}}

{{- /* Mimir's own limit where Envoy must refuse nothing that Mimir takes; else what a sender's largest push has, with room. */ -}}
{{- define "envoy.maxRequestBytes" -}}
{{- .Values.limits.maxRequestBytes | default (ternary 104857600 16777216 (eq .Values.mode "mirror")) | int64 -}}
{{- end -}}

{{- /* Each needs 3 to 4 times its size: with three quarters of the heap for them, a quarter is left for all others. Few pushes are as large as the
largest that is allowed, and few places would refuse honest ones, so no push is taken to have more than 16 MiB. */ -}}
{{- define "envoy.maxLargePushes" -}}
{{- $size := min 16777216 (include "envoy.maxRequestBytes" . | int64) -}}
{{- .Values.limits.maxLargePushes | default (max 1 (div (mul 3 (div (.Values.limits.maxHeapBytes | int64) 4)) (mul 4 $size))) | int64 -}}
{{- end -}}

{{- /* What holds for a push that is asked about. */ -}}
{{- define "envoy.checkedPush" -}}
# Of a push that Check has let through and counted; without a count there is no descriptor, and nothing is asked.
envoy.filters.http.ratelimit:
  "@type": type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute
  rate_limits:
  - actions: [{ request_headers: { header_name: x-scope-orgid, descriptor_key: tenant } }]
    hits_addend: { format: "%DYNAMIC_METADATA(envoy.filters.http.ext_authz:samples_str)%" }
{{- if not .Values.limits.enforceBodyParsing }}
# Tells mimir-rls that it gets no body on purpose.
envoy.filters.http.ext_authz:
  "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute
  check_settings: { context_extensions: { body: withheld } }
{{- end }}
{{- end -}}
