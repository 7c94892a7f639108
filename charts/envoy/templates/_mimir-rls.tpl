{{- /* How mimir-rls runs, in a Deployment of its own or in Envoy's pod. The file is the same in the charts mimir-rls and envoy. Takes the root, or what has
the same form. */ -}}

{{- /* The source of limits. With TLS, overrides-sync serves the feed over TLS too. */ -}}
{{- define "mimir-rls.source" -}}
{{- if and .Values.tls.enabled (hasPrefix "feed:" .Values.limits.source) -}}
{{- .Values.limits.source | replace "http://" "https://" -}}
{{- else -}}
{{- .Values.limits.source -}}
{{- end -}}
{{- end -}}

{{- /* The arguments, as a list. GrpcListen replaces the address of the gRPC port. */ -}}
{{- define "mimir-rls.arguments" -}}
{{- $limits := .Values.limits -}}
{{- $mimir := .Values.mimir -}}
{{- if and $mimir.haTrackerUrl (not $mimir.haTracker) -}}
{{- fail "mimir.haTrackerUrl names an HA tracker to poll, but mimir.haTracker=false means that Mimir runs none: leave out one of them" -}}
{{- end -}}
{{- if and $mimir.defaultTenant (eq .Values.chargeSamplesIn "rate-limit") -}}
{{- fail (printf "mimir.defaultTenant is %s, but chargeSamplesIn is rate-limit: Envoy makes no rate limit call for a push without a tenant. Set chargeSamplesIn=check, or leave mimir.defaultTenant empty" $mimir.defaultTenant) -}}
{{- end -}}
- --limits={{ include "mimir-rls.source" . }}
{{- if and .Values.tls.enabled (hasPrefix "feed:" $limits.source) }}
- --feed-tls-ca=/etc/mimir-edge/tls/ca.crt
- --feed-tls-cert=/etc/mimir-edge/tls/tls.crt
- --feed-tls-key=/etc/mimir-edge/tls/tls.key
{{- end }}
{{- if $limits.cache }}
- --limits-cache=/var/cache/mimir-rls/limits
{{- end }}
{{- if $limits.allowEmptyOverrides }}
- --allow-empty-overrides
{{- end }}
- --edge-config=/etc/mimir-rls/edge.yaml
{{- if $mimir.limits }}
- --default-limits=/etc/mimir-rls-defaults/mimir.yaml
{{- end }}
{{- if and .Values.mimir.configUrl (or .Values.mimir.limits .Values.mimir.limitsFlags) }}
{{- fail "mimir.configUrl already includes Mimir's file and flags: leave mimir.limits and mimir.limitsFlags empty" }}
{{- end }}
{{- with .Values.mimir.limitsFlags }}
- {{ printf "--default-limits-flags=%s" . | quote }}
{{- end }}
{{- with .Values.mimir.configUrl }}
- --default-limits-url={{ . }}
{{- end }}
{{- with .Values.mimir.version }}
- --mimir-version={{ . }}
{{- end }}
{{- with $mimir.defaultTenant }}
- {{ printf "--default-tenant=%s" . | quote }}
{{- end }}
- --max-request-bytes={{ int64 $limits.maxRequestBytes }}
- --max-decoded-bytes={{ int64 $limits.maxDecodedBytes }}
- --max-in-flight-bytes={{ include "mimir-rls.inFlightBytes" . }}
- --unreadable-body={{ $limits.unreadableBody }}
{{- if not $limits.enforceBodyParsing }}
- --decode-bodies=off
{{- end }}
- --charge-samples-in={{ .Values.chargeSamplesIn }}
- --distributors={{ int64 $mimir.distributors }}
- --ha-tracker={{ ternary "on" "off" $mimir.haTracker }}
{{- with $mimir.haTrackerUrl }}
- --ha-tracker-url={{ . }}
{{- end }}
{{- with .Values.auditLog }}
- --audit-log={{ . }}
{{- end }}
{{ include "edge.listenArguments" (merge (dict "GrpcPort" 8081) .) }}
- --drain-delay={{ int64 .Values.drain.delaySeconds }}s
- --drain-timeout={{ int64 .Values.drain.timeoutSeconds }}s
- --log-level={{ .Values.log.level }}
- --log-format={{ .Values.log.format }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
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

{{- /* The rules of a Role that may read this ConfigMap. */ -}}
{{- define "mimir-rls.rules" -}}
{{- $configMap := include "mimir-rls.configMap" . -}}
{{- if contains "=" $configMap -}}
# RBAC cannot restrict a list by label to names.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [list, watch]
{{- else -}}
# RBAC allows a list by name if the request selects that name only, as mimir-rls does.
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [{{ index (splitList "/" $configMap) 1 | quote }}]
  verbs: [get, list, watch]
{{- end -}}
{{- end -}}

{{- /* The Role for that ConfigMap and its binding, in the ConfigMap's namespace. Takes {root, name, labels, serviceAccount}. */ -}}
{{- define "mimir-rls.rbac" -}}
{{- with include "mimir-rls.configMap" .root -}}
{{- $namespace := splitList "/" . | first -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $.name }}
  namespace: {{ $namespace }}
  labels: {{- $.labels | nindent 4 }}
rules:
  {{- include "mimir-rls.rules" $.root | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $.name }}
  namespace: {{ $namespace }}
  labels: {{- $.labels | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ $.name }}
subjects:
  - kind: ServiceAccount
    name: {{ $.serviceAccount }}
    namespace: {{ $.root.Release.Namespace }}
{{- end -}}
{{- end -}}

{{- /* Rules of an egress policy: the feed's overrides-sync, in the namespace that the feed's URL names, and Mimir. */ -}}
{{- define "mimir-rls.egress" -}}
{{- $host := regexFind "^feed:https?://[a-z][a-z0-9.-]*" .Values.limits.source | splitList "/" | last -}}
{{- $namespace := index (append (splitList "." $host) "") 1 -}}
{{- if $host }}
- to:
    - {{- include "edge.pods" (dict "chart" "overrides-sync") | nindent 6 }}
      {{- with $namespace }}
      namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ . }}
      {{- end }}
  ports:
    - { port: 8083, protocol: TCP }
{{- end }}
{{- if or .Values.mimir.configUrl .Values.mimir.haTrackerUrl }}
- to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ .Values.networkPolicy.egress.mimirNamespace }}
{{- end }}
{{- end -}}
