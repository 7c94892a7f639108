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

{{- /* What mimir-rls is called in :authority: the proxies of a mesh route by it. */ -}}
{{- define "envoy.mimirRlsAuthority" -}}
{{- if .Values.sidecar.enabled }}mimir-rls{{ else }}{{ include "envoy.mimirRlsHost" . }}{{ end -}}
{{- end -}}

{{- /* One address family of each name: with ALL, a replica with two addresses would count as two. */ -}}
{{- define "envoy.dnsLookupFamily" -}}
{{- .Values.dnsLookupFamily | default (ternary "AUTO" "V4_PREFERRED" (contains ":" .Values.listeners.address)) -}}
{{- end -}}

{{- /* An IPv6 address takes IPv4 connections too. */ -}}
{{- define "envoy.ipv4Compat" -}}
{{- if contains ":" .Values.listeners.address }}, ipv4_compat: true{{ end -}}
{{- end -}}

{{- define "envoy.mimirCaFile" -}}
{{- .Values.mimir.tls.caFile | default (include "edge.caFile" .) | default "/etc/ssl/certs/ca-certificates.crt" -}}
{{- end -}}

{{- /* mTLS to mimir-rls. Envoy reads the certificates again when the Secret changes. */ -}}
{{- define "envoy.mimirRlsTls" -}}
{{- $host := include "envoy.mimirRlsHost" . -}}
{{- $address := or (regexMatch "^[0-9.]+$" $host) (contains ":" $host) -}}
transport_socket:
  name: envoy.transport_sockets.tls
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
    {{- if not $address }}
    sni: {{ $host }}
    {{- end }}
    common_tls_context:
      alpn_protocols: [h2]
      tls_certificate_sds_secret_configs:
      - name: mimir_rls_client
        sds_config: { resource_api_version: V3, path_config_source: { path: /etc/envoy/tls-certificate.yaml } }
      combined_validation_context:
        default_validation_context:
          match_typed_subject_alt_names: [{ san_type: {{ ternary "IP_ADDRESS" "DNS" $address }}, matcher: { exact: {{ $host | quote }} } }]
        validation_context_sds_secret_config:
          name: mimir_rls_ca
          sds_config: { resource_api_version: V3, path_config_source: { path: /etc/envoy/tls-ca.yaml } }
{{- end -}}

{{- define "envoy.mimirHost" -}}
{{- .Values.mimir.host | default (printf "%s.%s.svc.%s" .Values.mimir.distributorService .Values.mimir.namespace .Values.clusterDomain) -}}
{{- end -}}

{{- /* A mirror takes pushes up to Mimir's own limit. The default of mode enforce is well above what senders batch. */ -}}
{{- define "envoy.maxRequestBytes" -}}
{{- .Values.limits.maxRequestBytes | default (ternary 104857600 16777216 (eq .Values.mode "mirror")) | int64 -}}
{{- end -}}

{{- /* How many pushes of a size fit into three quarters of the heap. Each needs 3 to 4 times its size. The last quarter is for all other pushes. With
huge pushes allowed and all places taken, Envoy also needs the room between maxHeapBytes and the pod's memory limit. */ -}}
{{- define "envoy.places" -}}
{{- max 1 (div (mul 3 (div (.heap | int64) 4)) (mul 4 .bytes)) | int64 -}}
{{- end -}}

{{- /* Bounds on the number of pushes, by Content-Length. Few pushes have more than 16 MB. One bound computed for the largest size would deny ordinary
large pushes; one computed for 16 MB would let a client with the largest pushes exceed the pod's memory. */ -}}
{{- define "envoy.boundedPushes" -}}
{{- $heap := .Values.limits.maxHeapBytes -}}
{{- $largest := include "envoy.maxRequestBytes" . | int64 -}}
- name: large_pushes
  below: "[0-9]{1,6}"
  places: {{ .Values.limits.maxLargePushes | default (include "envoy.places" (dict "heap" $heap "bytes" (min 16777216 $largest))) | int64 }}
{{- if gt $largest 16777216 }}
- name: huge_pushes
  below: "[0-9]{1,7}|1[0-5][0-9]{6}"
  places: {{ include "envoy.places" (dict "heap" $heap "bytes" $largest) }}
{{- end }}
{{- end -}}

{{- /* The per-route settings of a push that mimir-rls checks. */ -}}
{{- define "envoy.checkedPush" -}}
# Charges the cost that Check counted. Without that metadata there is no descriptor, and the filter makes no call.
envoy.filters.http.ratelimit:
  "@type": type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute
  rate_limits:
  - actions: [{ request_headers: { header_name: x-scope-orgid, descriptor_key: tenant } }]
    hits_addend: { format: "%DYNAMIC_METADATA(envoy.filters.http.ext_authz:samples_str)%" }
# Refunds the charge of a push that Mimir did not take. mimir-rls issues the receipts in the responses of Check and ShouldRateLimit. The expression gives
# a cause or fails; if it fails, the filter makes no call. It fails for a successful push; for one whose client disconnected early, which a client could
# do on purpose; and for a 500 of Mimir, which follows the charge of Mimir's own limiter. It fails by reading a pseudo-header that HTTP does not define,
# which no client can send.
edge.refunds:
  "@type": type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute
  rate_limits:
  {{- range list "envoy.filters.http.ext_authz" "envoy.filters.http.ratelimit" }}
  - apply_on_stream_done: true
    hits_addend: { number: 1, is_negative_hits: true }
    actions:
    - metadata: { descriptor_key: refund, source: DYNAMIC, metadata_key: { key: {{ . }}, path: [{ key: charge }] } }
    - extension:
        name: envoy.rate_limit_descriptors.expr
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.rate_limit_descriptors.expr.v3.Descriptor
          descriptor_key: cause
          text: >-
            response.code_details == 'via_upstream'
            ? (response.code == 429 || response.code == 529 ? 'mimir_denied'
            : response.code > 500 ? 'mimir_error' : request.headers[':none'])
            : (response.code >= 500 ? 'no_answer' : request.headers[':none'])
  {{- end }}
{{- if not .Values.limits.enforceBodyParsing }}
# Tells mimir-rls that Envoy withholds the body on purpose.
envoy.filters.http.ext_authz:
  "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute
  check_settings: { context_extensions: { body: withheld } }
{{- end }}
{{- end -}}
