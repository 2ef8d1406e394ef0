{{/* Combinations that the schema cannot refuse, each with what to do instead. */}}
{{- define "hotfix.validate" -}}
{{- $checks := include "hotfix.checksNamespace" . }}
{{- if gt (len $checks) 63 }}
{{- fail (printf "checks.namespace: %q is longer than a namespace's name may be (63): set a shorter one." $checks) }}
{{- end }}
{{- if eq $checks .Release.Namespace }}
{{- fail "checks.namespace must not be the release's own namespace: check pods run images that others chose, and would run beside the operator's service account. Choose another, or leave it empty." }}
{{- end }}
{{- if eq $checks .Values.watchNamespace }}
{{- fail "checks.namespace must not be the watched namespace: whoever may edit the workload could tamper with its checks. Choose another, or leave it empty." }}
{{- end }}
{{- if eq .Release.Namespace .Values.watchNamespace }}
{{- fail "watchNamespace must not be the release's own namespace: whoever may edit the workload there could run a pod as the operator's service account. Install the operator in a namespace of its own." }}
{{- end }}
{{- if has $checks (list "default" "kube-system" "kube-public" "kube-node-lease") }}
{{- fail (printf "checks.namespace: %q is shared with others; check pods need a namespace of their own." $checks) }}
{{- end }}
{{- if and (gt (int .Values.replicas) 1) (not .Values.leaderElection.enabled) }}
{{- fail "replicas is more than 1 without leaderElection.enabled: every replica would act. Set replicas to 1, or turn the election on." }}
{{- end }}
{{- range $i, $registry := .Values.registries }}
{{- if and $registry.plainHttp $registry.ca }}
{{- fail (printf "registries[%d] (%s): a registry over plain HTTP has no certificate: remove ca, or plainHttp." $i $registry.host) }}
{{- end }}
{{- end }}
{{- $hosts := list }}
{{- range .Values.registries }}{{ $hosts = append $hosts .host }}{{ end }}
{{- if ne (len $hosts) (len (uniq $hosts)) }}
{{- fail "registries: a host is listed twice; which entry counts would be a matter of luck." }}
{{- end }}
{{- end }}
