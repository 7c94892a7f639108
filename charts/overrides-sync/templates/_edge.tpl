{{- /* What the charts of the edge have in common. The file is the same in each of them. */ -}}

{{- define "edge.fullname" -}}
{{- include (printf "%s.fullname" .Chart.Name) . -}}
{{- end -}}

{{- /* HOST:PORT, with an IPv6 address in brackets. Takes {address, port}. */ -}}
{{- define "edge.listen" -}}
{{- if contains ":" .address }}[{{ .address }}]{{ else }}{{ .address }}{{ end }}:{{ int .port }}
{{- end -}}

{{- define "edge.tlsSecret" -}}
{{- .Values.tls.secretName | default (printf "%s-grpc-tls" (include "edge.fullname" .)) -}}
{{- end -}}

{{- /* The file with the CAs of caBundle, or empty. */ -}}
{{- define "edge.caFile" -}}
{{- if and .Values.caBundle.configMap .Values.caBundle.secret -}}
{{- fail "caBundle.configMap and caBundle.secret are both set: leave one of them empty" -}}
{{- end -}}
{{- if or .Values.caBundle.configMap .Values.caBundle.secret }}/etc/mimir-edge/ca/{{ .Values.caBundle.key }}{{ end -}}
{{- end -}}

{{- define "edge.volumes" -}}
{{- if .Values.tls.enabled }}
- name: grpc-tls
  secret:
    secretName: {{ include "edge.tlsSecret" . }}
{{- end }}
{{- with .Values.http.tokenSecret.name }}
- name: http-token
  secret:
    secretName: {{ . }}
{{- end }}
{{- if include "edge.caFile" . }}
- name: ca-bundle
  {{- with .Values.caBundle.configMap }}
  configMap:
    name: {{ . }}
  {{- end }}
  {{- with .Values.caBundle.secret }}
  secret:
    secretName: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* Folders, no subPath: a file mounted by subPath never changes. */ -}}
{{- define "edge.volumeMounts" -}}
{{- if .Values.tls.enabled }}
- name: grpc-tls
  mountPath: /etc/mimir-edge/tls
  readOnly: true
{{- end }}
{{- if .Values.http.tokenSecret.name }}
- name: http-token
  mountPath: /etc/mimir-edge/token
  readOnly: true
{{- end }}
{{- if include "edge.caFile" . }}
- name: ca-bundle
  mountPath: /etc/mimir-edge/ca
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "edge.env" -}}
{{- with include "edge.caFile" . }}
- name: SSL_CERT_FILE
  value: {{ . }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* The flags that mimir-rls and overrides-sync share: where they listen, TLS and the token. GrpcListen replaces the address of the gRPC port. Takes
the root with GrpcPort and HttpPort. */ -}}
{{- define "edge.listenArguments" -}}
{{- $address := .Values.listeners.address -}}
- --grpc-listen={{ .GrpcListen | default (include "edge.listen" (dict "address" $address "port" .GrpcPort)) }}
- --http-listen={{ include "edge.listen" (dict "address" $address "port" .HttpPort) }}
{{- if and .Values.tls.enabled (not .GrpcListen) }}
- --grpc-tls-cert=/etc/mimir-edge/tls/tls.crt
- --grpc-tls-key=/etc/mimir-edge/tls/tls.key
- --grpc-tls-client-ca=/etc/mimir-edge/tls/ca.crt
{{- end }}
{{- if .Values.http.tls }}
{{- if not .Values.tls.enabled }}
{{- fail "http.tls needs tls.enabled: the HTTP port uses the certificate of the gRPC port" }}
{{- end }}
- --http-tls-cert=/etc/mimir-edge/tls/tls.crt
- --http-tls-key=/etc/mimir-edge/tls/tls.key
{{- end }}
{{- if .Values.http.tokenSecret.name }}
- --http-token-file=/etc/mimir-edge/token/{{ .Values.http.tokenSecret.key }}
{{- end }}
{{- end -}}

{{- /* The scheme of probes; a kubelet does not verify certificates. */ -}}
{{- define "edge.scheme" -}}
{{- if .Values.http.tls }}
scheme: HTTPS
{{- end }}
{{- end -}}

{{- /* A limits block in YAML. `--set` makes text of a number with a fraction, and Mimir's limits do not take text for a number. */ -}}
{{- define "edge.limits" -}}
{{- regexReplaceAll "(?m)^( *[A-Za-z0-9_.-]+: )\"(-?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]+)?)\"$" (toYaml .) "${1}${2}" -}}
{{- end -}}

{{- /* Whether to render a kind of the Prometheus operator. Takes {root, enabled, kind}. */ -}}
{{- define "edge.monitors" -}}
{{- if or (eq (toString .enabled) "always") (and .enabled (.root.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" .kind))) }}true{{ end -}}
{{- end -}}

{{- /* How the HTTP port is scraped. Metrics need no token. */ -}}
{{- define "edge.scrape" -}}
{{- if .Values.http.tls }}
scheme: https
tlsConfig:
  serverName: {{ include "edge.fullname" . }}
  ca:
    secret:
      name: {{ include "edge.tlsSecret" . }}
      key: ca.crt
{{- end }}
{{- end -}}

{{- define "edge.families" -}}
{{- with .Values.service.ipFamilyPolicy }}
ipFamilyPolicy: {{ . }}
{{- end }}
{{- with .Values.service.ipFamilies }}
ipFamilies: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* Pods of a release of one of these charts in this namespace. Takes {chart, release}; an empty release is any. */ -}}
{{- define "edge.pods" -}}
podSelector:
  matchLabels:
    app.kubernetes.io/name: {{ .chart }}
    {{- with .release }}
    app.kubernetes.io/instance: {{ . }}
    {{- end }}
{{- end -}}

{{- /* Rules of an egress policy for DNS, and for the API server if the program uses it. Takes {root, api}. No peers for DNS: a cache on each node has an
address of the node. */ -}}
{{- define "edge.egress" -}}
{{- $egress := .root.Values.networkPolicy.egress -}}
- ports:
    {{- range $egress.dnsPorts }}
    - { port: {{ int . }}, protocol: UDP }
    - { port: {{ int . }}, protocol: TCP }
    {{- end }}
{{- if .api }}
- ports:
    {{- range $egress.apiServerPorts }}
    - { port: {{ int . }}, protocol: TCP }
    {{- end }}
  {{- with $egress.apiServerTo }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- with $egress.extra }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* The certificate for both ends of the gRPC connections. Takes the root. */ -}}
{{- define "edge.certificate" -}}
{{- if and .Values.tls.enabled .Values.tls.certManager.enabled }}
{{- $name := include "edge.fullname" . }}
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  name: {{ include "edge.tlsSecret" . }}
  namespace: {{ .Release.Namespace }}
  labels: {{- include (printf "%s.labels" .Chart.Name) . | nindent 4 }}
spec:
  secretName: {{ include "edge.tlsSecret" . }}
  dnsNames:
    - {{ $name }}
    - {{ $name }}.{{ .Release.Namespace }}
    - {{ $name }}.{{ .Release.Namespace }}.svc
    - {{ $name }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}
  usages: [digital signature, key encipherment, server auth, client auth]
  privateKey:
    rotationPolicy: Always
  issuerRef:
    name: {{ required "tls.certManager.enabled needs tls.certManager.issuerRef.name: an Issuer that puts its CA into ca.crt of the Secret" .Values.tls.certManager.issuerRef.name }}
    kind: {{ .Values.tls.certManager.issuerRef.kind }}
    group: {{ .Values.tls.certManager.issuerRef.group }}
{{- end }}
{{- end -}}

{{- /* The names of the alerts that prometheusRule.disabled leaves out, as a list in JSON; fails if the chart has no such alert. */ -}}
{{- define "edge.disabledAlerts" -}}
{{- $file := .Files.Get "files/alerts.yaml" -}}
{{- range .Values.prometheusRule.disabled -}}
{{- if not (contains (printf "- alert: %s\n" .) $file) -}}
{{- fail (printf "prometheusRule.disabled: the chart %s has no alert %s" $.Chart.Name .) -}}
{{- end -}}
{{- end -}}
{{- toJson .Values.prometheusRule.disabled -}}
{{- end -}}

{{- /* What an alert's runbook_url begins with. */ -}}
{{- define "edge.runbookUrl" -}}
runbook_url: {{ .Values.prometheusRule.runbookUrl | default "ops/runbooks" | trimSuffix "/" }}/
{{- end -}}
