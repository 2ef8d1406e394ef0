{{/* Names stay below 41 characters: the longest suffix, for the admission policies, must fit 63. */}}
{{- define "hotfix.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "hotfix.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "hotfix.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "hotfix.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/*
Name of objects that belong to no namespace. Two releases of one name in two namespaces must not
share them, so a release that watches one namespace carries that namespace's name.
*/}}
{{- define "hotfix.clusterName" -}}
{{- if .Values.watchNamespace }}
{{- printf "%s-%s" (include "hotfix.fullname" .) .Values.watchNamespace }}
{{- else }}
{{- include "hotfix.fullname" . }}
{{- end }}
{{- end }}

{{- define "hotfix.selector" -}}
app.kubernetes.io/name: {{ include "hotfix.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "hotfix.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "hotfix.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "hotfix.serviceAccount" -}}
{{- default (include "hotfix.fullname" .) .Values.serviceAccount.name }}
{{- end }}

{{/* The Lease by which one replica leads. Releases that share a namespace have names of their own. */}}
{{- define "hotfix.leaseName" -}}
{{- include "hotfix.clusterName" . }}
{{- end }}

{{- define "hotfix.checksNamespace" -}}
{{- default (printf "%s-checks" .Release.Namespace) .Values.checks.namespace }}
{{- end }}

{{- define "hotfix.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* The registries file the operator reads; certificate authorities lie beside it. */}}
{{- define "hotfix.registries" -}}
{{- $list := list }}
{{- range $i, $registry := .Values.registries }}
{{- $entry := dict "host" $registry.host "plainHttp" (default false $registry.plainHttp) }}
{{- if $registry.ca }}
{{- $_ := set $entry "caFile" (printf "/etc/hotfix-operator/registries/ca-%d.pem" $i) }}
{{- end }}
{{- $list = append $list $entry }}
{{- end }}
{{- $list | toJson }}
{{- end }}
