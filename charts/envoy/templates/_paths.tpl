{{- /* The value `paths`: further paths, and what Envoy does with each. */ -}}

{{- /* The entries in the order of their routes, as a list of YAML: the most specific first, so that their order in the values does not matter. A prefix that
passes is meant for what takes no samples, so two guards refuse what does: remote write, Influx and uploads of blocks before all prefixes but those that
name such a path themselves, OTLP before all but those that name it. */ -}}
{{- define "envoy.paths" -}}
{{- $byRank := dict -}}
{{- range .Values.paths -}}
{{- $match := .match | default "exact" -}}
{{- $name := printf "%s (%s)" .path $match -}}
{{- include "envoy.checkPath" (dict "path" .path "match" $match "action" .action) -}}
{{- $rank := ternary "5" (include "envoy.rankOfPrefix" .path) (eq $match "exact") -}}
{{- $key := printf "%s %04d %s" $rank (len .path) .path -}}
{{- if hasKey $byRank $key -}}
{{- fail (printf "paths names %s twice: keep one entry" $name) -}}
{{- end -}}
{{- $_ := set $byRank $key (dict "path" .path "match" $match "action" .action) -}}
{{- if and (eq .action "pass") (lt $rank "3") -}}
{{- $_ := set $byRank "3" (dict "action" "guard" "name" "remote-write" "paths" "(/.*)?/api/v1/(push|upload/block)(/.*)?") -}}
{{- end -}}
{{- if and (eq .action "pass") (lt $rank "1") -}}
{{- $_ := set $byRank "1" (dict "action" "guard" "name" "otlp" "paths" "(/.*)?/otlp/v1/metrics(/.*)?") -}}
{{- end -}}
{{- end -}}
{{- range keys $byRank | sortAlpha | reverse }}
- {{ get $byRank . | toJson }}
{{- end -}}
{{- end -}}

{{- /* A longer prefix never has a lower rank. */ -}}
{{- define "envoy.rankOfPrefix" -}}
{{- if regexMatch "/api/v1/(push|upload)(/|$)" . }}4{{ else if regexMatch "/otlp(/|$)" . }}2{{ else }}0{{ end -}}
{{- end -}}

{{- define "envoy.checkPath" -}}
{{- if regexMatch "/[.]{1,2}(/|$)" .path -}}
{{- fail (printf "paths: %s has a dot segment, which Envoy resolves before it chooses a route: write the resolved path" .path) -}}
{{- end -}}
{{- if and (eq .match "exact") (has .path (list "/api/v1/push" "/healthz")) -}}
{{- fail (printf "paths names %s, which Envoy has a route for already: leave it out" .path) -}}
{{- end -}}
{{- if eq .action "decide" -}}
{{- if eq .match "prefix" -}}
{{- fail (printf "paths: %s has match: prefix and action: decide, but not all paths below a prefix take remote write: list each path for pushes with match: exact" .path) -}}
{{- end -}}
{{- if or (not (hasSuffix "/push" .path)) (regexMatch "/(otlp|influx)/" .path) -}}
{{- fail (printf "paths: %s has action: decide, but mimir-rls decides remote write only, not OTLP or Influx: the path must end in /push, such as /mimir/api/v1/push; otherwise use action: refuse or pass" .path) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "envoy.matchPath" -}}
{{- if eq .match "exact" }}path{{ else if eq .path "/" }}prefix{{ else }}path_separated_prefix{{ end }}: {{ .path | quote }}
{{- end -}}

{{- /* Their routes. */ -}}
{{- define "envoy.pathRoutes" -}}
{{- range $index, $entry := include "envoy.paths" . | fromYamlArray }}
{{- if $index }}{{ "\n" }}{{ end }}
{{- include (printf "envoy.%sRoutes" $entry.action) (merge (dict "root" $) $entry) }}
{{- end -}}
{{- end -}}

{{- /* As /api/v1/push. Mimir gets the path as it is. */ -}}
{{- define "envoy.decideRoutes" -}}
{{- $copy := ternary "live" "mirror" (eq .root.Values.mode "mirror") -}}
- name: "push-{{ $copy }} {{ .path }}"
  match:
    path: {{ .path | quote }}
    headers: [{ name: ":method", string_match: { exact: POST } }, { name: x-mimir-edge-traffic, string_match: { exact: {{ $copy }}, ignore_case: true } }]
  {{- if eq .root.Values.mode "mirror" }}
  direct_response: *only_mirrors
  typed_per_filter_config:
    {{- include "envoy.passedRequest" .root | nindent 4 }}
  {{- else }}
  route: { cluster: local_sink, timeout: 30s }
  typed_per_filter_config: *checked
  {{- end }}
- name: "push {{ .path }}"
  match: { path: {{ .path | quote }}, headers: [{ name: ":method", string_match: { exact: POST } }] }
  route: *allowed
  typed_per_filter_config: *checked
- name: "push-other-methods {{ .path }}"
  match: { path: {{ .path | quote }} }
  direct_response: { status: 405 }
  response_headers_to_add: [{ header: { key: allow, value: POST } }]
  typed_per_filter_config: *unchecked
{{- end -}}

{{- /* The path in metrics, where a dot would end the name. */ -}}
{{- define "envoy.passedName" -}}
{{- replace "." "_" . -}}
{{- end -}}

{{- define "envoy.passRoutes" -}}
{{- if eq .root.Values.mode "mirror" -}}
- name: "pass {{ .path }}"
  match: { {{ include "envoy.matchPath" . }} }
  direct_response: *only_mirrors
  typed_per_filter_config:
    {{- include "envoy.passedRequest" .root | nindent 4 }}
{{- else -}}
# A copy does not reach Mimir.
- name: "pass-mirrored {{ .path }}"
  match: { {{ include "envoy.matchPath" . }}, headers: [{ name: x-mimir-edge-traffic, string_match: { exact: mirror, ignore_case: true } }] }
  route: { cluster: local_sink, timeout: 30s }
  typed_per_filter_config:
    {{- include "envoy.passedRequest" .root | nindent 4 }}
# Not checked, not charged. Counted in envoy_vhost_route_upstream_rq_total.
- name: "pass {{ .path }}"
  match: { {{ include "envoy.matchPath" . }} }
  route: *allowed
  stat_prefix: {{ include "envoy.passedName" .path | quote }}
  typed_per_filter_config:
    {{- include "envoy.passedRequest" .root | nindent 4 }}
{{- end -}}
{{- end -}}

{{- define "envoy.refuseRoutes" -}}
- name: "refuse {{ .path }}"
  match: { {{ include "envoy.matchPath" . }} }
  {{- include "envoy.refusal" "the edge does not take requests at this path, because its operator refuses them (chart value paths). Operators: to let them pass to Mimir, use action: pass" | nindent 2 }}
{{- end -}}

{{- define "envoy.guardRoutes" -}}
- name: refuse {{ .name }} below prefixes that pass
  match: { safe_regex: { regex: {{ .paths | quote }} } }
  {{- include "envoy.refusal" "the edge does not take samples at this path: a prefix above it passes (chart value paths), which does not include paths that take samples. Operators: add an entry for this path" | nindent 2 }}
{{- end -}}

{{- define "envoy.refusal" -}}
direct_response: { status: 404, body: { inline_string: {{ printf "%s (err-edge-path-refused)\n" . | quote }} } }
response_headers_to_add: [{ header: { key: x-mimir-edge-reason, value: path_refused } }]
typed_per_filter_config: *unchecked
{{- end -}}
