{{- define "alike.name" -}}
{{- .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "alike.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 45 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 45 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "alike.selector" -}}
app.kubernetes.io/name: {{ include "alike.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "alike.labels" -}}
{{ include "alike.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "alike.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}

{{- define "alike.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "alike.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "alike.secret" -}}
{{- if .Values.secret.existing -}}
{{- .Values.secret.existing -}}
{{- else if .Values.secret.create -}}
{{- include "alike.fullname" . -}}
{{- else -}}
{{- fail "secret.existing names the secret with `keys` and `store`; or set secret.create for a try" -}}
{{- end -}}
{{- end -}}

{{- define "alike.runClaim" -}}
{{- .Values.run.existingClaim | default (printf "%s-runs" (include "alike.fullname" .)) -}}
{{- end -}}

{{- define "alike.stateClaim" -}}
{{- .Values.store.sqlite.existingClaim | default (printf "%s-state" (include "alike.fullname" .)) -}}
{{- end -}}

{{/* The user of the image is 10001. */}}
{{- define "alike.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "alike.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Containers that start before the others and end after them. */}}
{{- define "alike.sidecars" -}}
{{- range .Values.store.sidecars -}}
{{- $always := dict "restartPolicy" "Always" }}
- {{ merge $always . | toYaml | nindent 2 | trim }}
{{- end }}
{{- end -}}
