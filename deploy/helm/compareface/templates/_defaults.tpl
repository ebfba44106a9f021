{{/* The values `settings` and `resources` are merged into these. */}}

{{- define "compareface.settings" }}
COMPAREFACE_SERVER__HOST: 0.0.0.0
COMPAREFACE_SERVER__PORT: 8000
COMPAREFACE_SERVER__HEALTH_PORT: 8001
# Requests still arrive until every node has removed the pod from its routes.
COMPAREFACE_SERVER__READINESS_DELAY_S: 10
COMPAREFACE_SERVER__DRAIN_S: 30
# The image contains `omz`, unless it was built with another pack.
COMPAREFACE_MODELS__REQUIRE_FIT: true
{{- if eq .Values.device "cuda" }}
COMPAREFACE_RUNTIME__DEVICE: cuda
{{- end }}
{{- if .Values.keys.enabled }}
COMPAREFACE_AUTH__KEYS_FILE: /etc/compareface/keys.toml
{{- end }}
{{- if .Values.tls.enabled }}
COMPAREFACE_SERVER__TLS_CERT: /etc/compareface-tls/tls.crt
COMPAREFACE_SERVER__TLS_KEY: /etc/compareface-tls/tls.key
{{- end }}
{{- if .Values.serviceMonitor.enabled }}
COMPAREFACE_METRICS__ENABLED: true
{{- end }}
{{- with .Values.traces.endpoint }}
COMPAREFACE_TRACES__ENDPOINT: {{ . }}
{{- end }}
{{- end }}

{{- define "compareface.resources.cpu" }}
requests: {cpu: "2", memory: 768Mi}
limits: {cpu: "2", memory: 1536Mi}
{{- end }}

{{- define "compareface.resources.cuda" }}
requests: {cpu: "4", memory: 2Gi}
limits: {cpu: "4", memory: 4Gi, nvidia.com/gpu: "1"}
{{- end }}
