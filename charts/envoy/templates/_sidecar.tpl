{{- /* mimir-rls in Envoy's pod. */ -}}

{{- /* Its values in the form of the chart mimir-rls, as JSON. What Envoy and mimir-rls must agree on comes from Envoy's values. */ -}}
{{- define "envoy.sidecarValues" -}}
{{- $sidecar := deepCopy .Values.sidecar -}}
{{- $_ := set $sidecar.limits "enforceBodyParsing" .Values.limits.enforceBodyParsing -}}
{{- $_ := set $sidecar.limits "maxRequestBytes" (include "envoy.maxRequestBytes" . | int64) -}}
{{- $_ := set $sidecar "chargeSamplesIn" (ternary "rate-limit" "check" .Values.rateLimit.enabled) -}}
{{- $_ := set $sidecar "listeners" .Values.listeners -}}
{{- $_ := set $sidecar "tls" .Values.tls -}}
{{- $_ := set $sidecar "http" .Values.http -}}
{{- $_ := set $sidecar "caBundle" .Values.caBundle -}}
{{- $_ := set $sidecar "networkPolicy" .Values.networkPolicy -}}
{{- /* Kubernetes stops it after Envoy: there is nothing left to wait for. */ -}}
{{- $_ := set $sidecar "drain" (dict "delaySeconds" 0 "timeoutSeconds" 5) -}}
{{- toJson $sidecar -}}
{{- end -}}

{{- define "envoy.sidecarSocket" -}}
{{- .Values.sidecar.socketFolder }}/grpc.sock
{{- end -}}

{{- /* NAMESPACE/CONFIGMAP if it watches the ConfigMap itself, else empty. */ -}}
{{- define "envoy.sidecarConfigMap" -}}
{{- if .Values.sidecar.enabled -}}
{{- include "mimir-rls.configMap" (dict "Values" .Values.sidecar) -}}
{{- end -}}
{{- end -}}

{{- /* A container of initContainers that restarts always: it starts before Envoy, and stops after it. */ -}}
{{- define "envoy.sidecar" -}}
{{- if semverCompare "<1.29.0-0" .Capabilities.KubeVersion.Version -}}
{{- fail (printf "sidecar.enabled needs Kubernetes 1.29 (this is %s), where a sidecar stops after the containers that use it: install the chart mimir-rls instead" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- with .Values.sidecar.mimir.defaultTenant -}}
{{- if $.Values.rateLimit.enabled -}}
{{- fail (printf "sidecar.mimir.defaultTenant is %s, but rateLimit.enabled is true: Envoy makes no rate limit call for a push without a tenant. Leave one of them out" .) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.mimir.singleTenant (or .Values.hpa.enabled (gt (int .Values.replicaCount) 1)) -}}
{{- fail "mimir.singleTenant with sidecar.enabled gives the one tenant a bucket in each pod: set replicaCount=1 and hpa.enabled=false, or install the chart mimir-rls instead of the sidecar" -}}
{{- end -}}
{{- if not .Values.sidecar.stickyFront -}}
{{- if .Values.hpa.enabled -}}
{{- fail "sidecar.enabled gives each pod buckets of its own, and hpa.enabled is true: N pods allow a tenant N times its limit. Set replicaCount=1 and hpa.enabled=false; or sidecar.stickyFront=true if a front sends each tenant to the same pod (docs/kubernetes.md); or install the chart mimir-rls instead" -}}
{{- else if gt (int .Values.replicaCount) 1 -}}
{{- fail (printf "sidecar.enabled gives each pod buckets of its own, and replicaCount is %d: the pods allow a tenant %d times its limit. Set replicaCount=1; or sidecar.stickyFront=true if a front sends each tenant to the same pod (docs/kubernetes.md); or install the chart mimir-rls instead" (int .Values.replicaCount) (int .Values.replicaCount)) -}}
{{- end -}}
{{- end -}}
{{- $rls := dict "Values" (include "envoy.sidecarValues" . | fromJson) "GrpcListen" (printf "unix:%s" (include "envoy.sidecarSocket" .)) "HttpPort" .Values.sidecar.httpPort -}}
- name: mimir-rls
  image: {{ printf "%s:%s" .Values.sidecar.image.repository (.Values.sidecar.image.tag | default .Chart.AppVersion) | quote }}
  imagePullPolicy: {{ .Values.sidecar.image.pullPolicy }}
  restartPolicy: Always
  args: {{- include "mimir-rls.arguments" $rls | nindent 4 }}
  {{- with include "edge.env" $rls | trim }}
  env: {{- . | nindent 4 }}
  {{- end }}
  ports:
    - name: rls-http
      containerPort: {{ .Values.sidecar.httpPort }}
  # Envoy starts once it succeeds.
  startupProbe:
    httpGet:
      path: /live
      port: rls-http
      {{- with include "edge.scheme" . | trim }}{{ nindent 6 . }}{{ end }}
    periodSeconds: 1
    failureThreshold: 60
  {{- if not .Values.extAuthz.failureModeAllow }}
  # The pod is not ready until mimir-rls has limits. An Envoy that fails open forwards pushes without it, so its pod is.
  readinessProbe:
    httpGet:
      path: /ready
      port: rls-http
      {{- with include "edge.scheme" . | trim }}{{ nindent 6 . }}{{ end }}
    # It decides whether Envoy's pod is ready, and shares the CPU with Envoy.
    periodSeconds: 2
    timeoutSeconds: 5
    failureThreshold: 3
  {{- end }}
  livenessProbe:
    httpGet:
      path: /live
      port: rls-http
      {{- with include "edge.scheme" . | trim }}{{ nindent 6 . }}{{ end }}
    periodSeconds: 10
    timeoutSeconds: 5
  {{- with .Values.securityContext }}
  securityContext: {{- toYaml . | nindent 4 }}
  {{- end }}
  resources: {{- include "mimir-rls.resources" $rls | nindent 4 }}
  volumeMounts:
    - name: sidecar-socket
      mountPath: {{ .Values.sidecar.socketFolder }}
    - name: edge-config
      mountPath: /etc/mimir-rls
      readOnly: true
    {{- if .Values.sidecar.mimir.limits }}
    - name: default-limits
      mountPath: /etc/mimir-rls-defaults
      readOnly: true
    {{- end }}
    {{- if .Values.sidecar.limits.cache }}
    - name: limits-cache
      mountPath: /var/cache/mimir-rls
    {{- end }}
    {{- if include "envoy.sidecarConfigMap" . }}
    - name: api-token
      mountPath: /var/run/secrets/kubernetes.io/serviceaccount
      readOnly: true
    {{- end }}
    {{- with include "edge.volumeMounts" $rls | trim }}{{ nindent 4 . }}{{ end }}
{{- end -}}

{{- define "envoy.sidecarVolumes" -}}
- name: sidecar-socket
  emptyDir:
    medium: Memory
    sizeLimit: 1Mi
- name: edge-config
  configMap:
    name: {{ include "envoy.fullname" . }}-edge-config
{{- if .Values.sidecar.mimir.limits }}
- name: default-limits
  configMap:
    name: {{ include "envoy.fullname" . }}-default-limits
{{- end }}
{{- if .Values.sidecar.limits.cache }}
- name: limits-cache
  emptyDir:
    sizeLimit: 256Mi
{{- end }}
{{- if include "envoy.sidecarConfigMap" . }}
# What automountServiceAccountToken would mount, for this container alone.
- name: api-token
  projected:
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: 3607
      - configMap:
          name: kube-root-ca.crt
          items: [{ key: ca.crt, path: ca.crt }]
      - downwardAPI:
          items: [{ path: namespace, fieldRef: { apiVersion: v1, fieldPath: metadata.namespace } }]
{{- end }}
{{- end -}}
