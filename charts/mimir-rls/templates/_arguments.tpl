{{/* The arguments of mimir-rls, as a list. */}}
{{- define "mimir-rls.arguments" -}}
{{- $limits := .Values.limits -}}
{{- $mimir := .Values.mimir -}}
{{- if and $mimir.haTrackerUrl (not $mimir.haTracker) -}}
{{- fail "mimir.haTrackerUrl names an HA tracker to poll, but mimir.haTracker=false means that Mimir runs none: leave out one of them" -}}
{{- end -}}
- --limits={{ $limits.source }}
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
- --drain-delay={{ int64 .Values.drain.delaySeconds }}s
- --drain-timeout={{ int64 .Values.drain.timeoutSeconds }}s
- --log-level={{ .Values.log.level }}
- --log-format={{ .Values.log.format }}
{{- end -}}
