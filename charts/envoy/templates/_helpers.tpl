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
{{- if .Values.listeners.probePort -}}
{{- $ports = append $ports "probePort" -}}
{{- end -}}
{{- range $index, $name := $ports -}}
{{- if and $.Values.sidecar.enabled (eq (get $.Values.listeners $name | int) (int $.Values.sidecar.httpPort)) -}}
{{- fail (printf "listeners.%s and sidecar.httpPort are both %d: each needs a port of its own" $name (int $.Values.sidecar.httpPort)) -}}
{{- end -}}
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

{{- /* Whether Mimir is verified with caBundle, which Envoy reads again when it changes. */ -}}
{{- define "envoy.mimirCaWatched" -}}
{{- if and .Values.mimir.tls.enabled (not .Values.mimir.tls.caFile) (include "edge.caFile" .) }}true{{ end -}}
{{- end -}}

{{- define "envoy.mimirTls" -}}
{{- $name := .Values.mimir.tls.serverName | default (include "envoy.mimirHost" .) -}}
{{- $names := printf "match_typed_subject_alt_names: [{ san_type: DNS, matcher: { exact: %s } }]" $name -}}
transport_socket:
  name: envoy.transport_sockets.tls
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
    sni: {{ $name }}
    common_tls_context:
      {{- if include "envoy.mimirCaWatched" . }}
      combined_validation_context:
        default_validation_context:
          {{ $names }}
        validation_context_sds_secret_config:
          name: mimir_ca
          sds_config: { resource_api_version: V3, path_config_source: { path: /etc/envoy/mimir-ca.yaml } }
      {{- else }}
      validation_context:
        trusted_ca: { filename: {{ .Values.mimir.tls.caFile | default "/etc/ssl/certs/ca-certificates.crt" }} }
        {{ $names }}
      {{- end }}
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
{{- define "envoy.completePushes" -}}
{{- $heap := .Values.limits.maxHeapBytes -}}
{{- $largest := include "envoy.maxRequestBytes" . | int64 -}}
- name: large_pushes
  size: "[0-9]{7,}"
  places: {{ .Values.limits.maxLargePushes | default (include "envoy.places" (dict "heap" $heap "bytes" (min 16777216 $largest))) | int64 }}
{{- if gt $largest 16777216 }}
- name: huge_pushes
  size: "1[6-9][0-9]{6}|[2-9][0-9]{7}|[0-9]{9,}"
  places: {{ include "envoy.places" (dict "heap" $heap "bytes" $largest) }}
{{- end }}
{{- end -}}

{{- /* Envoy holds a push once while it receives it, and 3 to 4 times when it is complete. So twice as many fit as complete ones, half of them of one client. A
push without a Content-Length counts in the bounds of its size only once it is complete. */ -}}
{{- define "envoy.receivedPushes" -}}
{{- range include "envoy.completePushes" . | fromYamlArray }}
- name: {{ .name | replace "pushes" "uploads" }}
  size: {{ .size | quote }}
  client: {{ .places | int64 }}
  total: {{ mul 2 (.places | int64) }}
{{- end }}
{{- end -}}

{{- /* Matches a request of any method whose Content-Length has this form. */ -}}
{{- define "envoy.requestsOfSize" -}}
single_predicate:
  input: { name: length, typed_config: { "@type": type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput, header_name: content-length } }
  value_match: { safe_regex: { google_re2: {}, regex: {{ . | quote }} } }
{{- end -}}

{{- /* Matches if the class of a text, of 16, is at least this one. */ -}}
{{- define "envoy.classAtLeast" -}}
custom_match: { name: class, typed_config: { "@type": type.googleapis.com/envoy.extensions.matching.input_matchers.consistent_hashing.v3.ConsistentHashing, modulo: 16, threshold: {{ . }} } }
{{- end -}}

{{- /* Lets so many requests pass at once. A gradient controller with equal minimum and maximum is a fixed bound. */ -}}
{{- define "envoy.boundFilter" -}}
"@type": type.googleapis.com/envoy.extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency
gradient_controller_config:
  concurrency_limit_params: { max_concurrency_limit: {{ . | int64 }}, concurrency_update_interval: 60s }
  min_rtt_calc_params: { fixed_value: 60s, min_concurrency: {{ . | int64 }} }
{{- end -}}

{{- /* The same as an action. */ -}}
{{- define "envoy.bound" -}}
name: bound
typed_config:
  "@type": type.googleapis.com/envoy.extensions.filters.http.composite.v3.ExecuteFilterAction
  typed_config:
    name: envoy.filters.http.adaptive_concurrency
    typed_config:
      {{- include "envoy.boundFilter" . | nindent 6 }}
{{- end -}}

{{- /* Has a route wait for whole bodies. */ -}}
{{- define "envoy.wholeBody" -}}
envoy.filters.http.buffer:
  "@type": type.googleapis.com/envoy.extensions.filters.http.buffer.v3.BufferPerRoute
  buffer:
    max_request_bytes: {{ include "envoy.maxRequestBytes" . }}
{{- end -}}

{{- /* A matcher that gives each class of addresses a filter chain, which has connections of its own. */ -}}
{{- define "envoy.chainsOfClients" -}}
matcher_list:
  matchers:
  {{- range $class := untilStep 15 0 -1 }}
  - predicate:
      single_predicate:
        input: { name: address, typed_config: { "@type": type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.SourceIPInput } }
        {{- include "envoy.classAtLeast" $class | nindent 8 }}
    on_match: { action: { name: chain, typed_config: { "@type": type.googleapis.com/google.protobuf.StringValue, value: class-{{ $class }} } } }
  {{- end }}
on_no_match: { action: { name: chain, typed_config: { "@type": type.googleapis.com/google.protobuf.StringValue, value: class-0 } } }
{{- end -}}

{{- /* A matcher that bounds the requests of each class of addresses on its own. It halves the classes until one is left: a list of 15 costs a request twice as
many hashes. The first matcher defines the predicates. Takes {name, places, defines}. */ -}}
{{- define "envoy.boundsOfClients" -}}
{{- include "envoy.boundOfClasses" (merge (dict "from" 0 "to" 16) .) -}}
{{- end -}}

{{- define "envoy.boundOfClasses" -}}
{{- $middle := div (add .from .to) 2 | int -}}
matcher_list:
  matchers:
  {{- if .defines }}
  - predicate: &class_{{ $middle }}
      single_predicate:
        input: { name: client, typed_config: { "@type": type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput, header_name: x-mimir-edge-client } }
        {{- include "envoy.classAtLeast" $middle | nindent 8 }}
  {{- else }}
  - predicate: *class_{{ $middle }}
  {{- end }}
    on_match:
      {{- include "envoy.boundOnMatch" (merge (dict "from" $middle) .) | nindent 6 }}
on_no_match:
  {{- include "envoy.boundOnMatch" (merge (dict "to" $middle) .) | nindent 2 }}
{{- end -}}

{{- define "envoy.boundOnMatch" -}}
{{- if gt (sub .to .from) 1 -}}
matcher:
  {{- include "envoy.boundOfClasses" . | nindent 2 }}
{{- else if eq (int .to) 16 -}}
action: &{{ .name }}_bound
  {{- include "envoy.bound" .places | nindent 2 }}
{{- else -}}
action: *{{ .name }}_bound
{{- end -}}
{{- end -}}

{{- /* The per-route settings of a request that passes unchecked. */ -}}
{{- define "envoy.passedRequest" -}}
envoy.filters.http.ext_authz:
  "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute
  disabled: true
{{ include "envoy.wholeBody" . }}
{{- end -}}

{{- /* The per-route settings of a push that mimir-rls checks. */ -}}
{{- define "envoy.checkedPush" -}}
{{ include "envoy.wholeBody" . }}
# Charges the cost that Check counted. Without that metadata there is no descriptor, and the filter makes no call.
# Disabled where Check charges the samples: a filter that makes no call still takes 8 % of Envoy's instructions for a small push.
envoy.filters.http.ratelimit:
  "@type": type.googleapis.com/envoy.config.route.v3.FilterConfig
  disabled: {{ not .Values.rateLimit.enabled }} # edge.rate_limit
  config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute
    rate_limits:
    - actions: [{ request_headers: { header_name: x-scope-orgid, descriptor_key: tenant } }]
      hits_addend: { format: "%DYNAMIC_METADATA(envoy.filters.http.ext_authz:samples_str)%" }
# Refunds the charge of a push that Mimir did not take. mimir-rls issues the receipts in the responses of Check and ShouldRateLimit. The expression gives
# a cause or fails; if it fails, the filter makes no call. It fails for a successful push; for one whose client disconnected early, which a client could
# do on purpose; and for a 500 of Mimir, which follows the charge of Mimir's own limiter. It fails by reading a pseudo-header that HTTP does not define,
# which no client can send. The number comes first: comparing texts costs more, and most pushes succeed.
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
            response.code < 429
            ? request.headers[':none']
            : response.code_details == 'via_upstream'
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

{{- /* Envoy's own answers say what happened and what to do. The first match counts. mimir-rls's denials match none of them. */ -}}
{{- define "envoy.localReplies" -}}
{{- $taken := list "/api/v1/push" -}}
{{- range .Values.paths -}}
{{- if eq .action "decide" -}}
{{- $taken = append $taken .path -}}
{{- end -}}
{{- end -}}
local_reply_config:
  mappers:
  {{- range list
    (dict "reason" "body_too_large" "of" 413 "if" "response.code_details == 'request_payload_too_large'" "text" (printf "the push has more than %s bytes as sent, the most that the edge takes (chart value limits.maxRequestBytes). Its samples are lost: clients do not retry 413. Send smaller batches (Prometheus: max_samples_per_send), or raise that value of the chart envoy (err-edge-max-request-bytes)" (include "envoy.maxRequestBytes" .)))
    (dict "reason" "upload_too_slow" "of" 408 "if" "response.code_details == 'request_overall_timeout'" "status" 503 "after" 5 "text" "the push did not arrive within 30 s, and nothing of it was ingested: send it again. Check the client's network, or send smaller batches (err-edge-upload-too-slow)")
    (dict "reason" "upload_too_slow" "of" 408 "if" "response.code_details == 'request_header_timeout'" "status" 503 "after" 5 "text" "the headers of the push did not arrive within 10 s, and nothing of it was ingested: send it again. Check the client's network (err-edge-upload-too-slow)")
    (dict "reason" "path_not_served" "of" 404 "if" "response.code_details == 'route_not_found'" "text" (printf "the edge takes pushes (remote write) at %s, and no requests at this path: send all others to Mimir itself. Operators: the chart value paths lists further paths (err-edge-path-not-served)" (join ", " $taken)))
    (dict "reason" "not_checked" "if" "response.code_details in ['ext_authz_error', 'rate_limiter_error']" "after" 1 "text" "mimir-rls did not decide on the push in time, and nothing of it was ingested: send it again. Operators: see the alerts RLSUnreachable and EdgeErrors (err-edge-not-checked)")
    (dict "reason" "envoy_overloaded" "if" "response.code_details in ['reached_concurrency_limit', 'overload']" "after" 5 "text" "the edge has too many pushes at once, and nothing of this one was ingested: send it again. Operators: add replicas of Envoy, or raise its limits (err-edge-envoy-overloaded)")
    (dict "reason" "mimir_timeout" "if" "response.code_details in ['response_timeout', 'upstream_response_timeout', 'upstream_per_try_timeout']" "text" (printf "Mimir did not answer within %v s. It may have ingested the push: sending it again is safe. Operators: see the alert MimirTakesNoPushes (err-edge-mimir-timeout)" .Values.mimir.timeoutSeconds))
    (dict "reason" "mimir_unreachable" "if" "response.code_details == 'no_healthy_upstream' || response.code_details.startsWith('upstream_reset_before_response_started')" "after" 1 "text" "Mimir's distributors do not answer: send the push again. Operators: see the alert MimirTakesNoPushes (err-edge-mimir-unreachable)")
  }}
  - filter:
      and_filter:
        filters:
        # First, since an expression takes some microseconds, and a 429 of mimir-rls would have all of them evaluated.
        - status_code_filter: { comparison: { op: {{ if .of }}EQ{{ else }}GE{{ end }}, value: { default_value: {{ .of | default 500 }}, runtime_key: edge.local_replies.{{ .of | default "failed" }} } } }
        - extension_filter:
            name: envoy.access_loggers.extension_filters.cel
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter
              expression: {{ .if | quote }}
    {{- with .status }}
    status_code: {{ . }}
    {{- end }}
    body: { inline_string: {{ printf "%s\n" .text | quote }} }
    headers_to_add:
    - { header: { key: x-mimir-edge-reason, value: {{ .reason }} }, append_action: OVERWRITE_IF_EXISTS_OR_ADD }
    {{- with .after }}
    - { header: { key: retry-after, value: "{{ . }}" }, append_action: OVERWRITE_IF_EXISTS_OR_ADD }
    {{- end }}
  {{- end }}
{{- end -}}
