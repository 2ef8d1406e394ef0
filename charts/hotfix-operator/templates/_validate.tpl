{{/* A quantity as a number, for comparisons. */}}
{{- define "hotfix.quantity" -}}
{{- $text := toString . }}
{{- $unit := regexFind "(m|k|M|G|T|P|E|[KMGTPE]i)$" $text }}
{{- $decimal := dict "" 1 "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 }}
{{- $binary := dict "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 "Ei" 1152921504606846976 }}
{{- mulf (float64 (trimSuffix $unit $text)) (get (merge $decimal $binary) $unit) }}
{{- end }}

{{/* Combinations that the schema cannot refuse, each with what to do instead. */}}
{{- define "hotfix.validate" -}}
{{- $port := "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])" }}
{{- $label := "[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?" }}
{{- $host := printf "(%s([.]%s)*:%s|%s([.]%s)+)" $label $label $port $label $label }}
{{- $part := "[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*" }}
{{- $level := "(off|error|warn|info|debug|trace)" }}
{{- if not (regexMatch (printf "^(%s/)?%s(/%s)*$" $host $part $part) .Values.image.repository) }}
{{- fail (printf "image.repository: %q is no repository: write it as registry.corp:5000/team/hotfix-operator, without https://, and put a tag into image.tag, a digest into image.digest." .Values.image.repository) }}
{{- end }}
{{- if not (regexMatch (printf "^([A-Za-z0-9_:]+=)?%s(,([A-Za-z0-9_:]+=)?%s)*$" $level $level) .Values.log) }}
{{- fail (printf "log: %q is no filter: write off, error, warn, info, debug or trace, or target=level pairs such as info,securityhotfix=debug." .Values.log) }}
{{- end }}
{{- range $key, $_ := .Values.podLabels }}
{{- if hasKey $.Values.commonLabels $key }}
{{- fail (printf "podLabels: %q is in commonLabels too, which the pods have as well: write it once." $key) }}
{{- end }}
{{- end }}
{{- $resources := default dict .Values.resources }}
{{- $limits := default dict $resources.limits }}
{{- range $name, $asked := default dict $resources.requests }}
{{- $limit := get $limits $name }}
{{- if and (hasKey $limits $name) (gt (float64 (include "hotfix.quantity" $asked)) (float64 (include "hotfix.quantity" $limit))) }}
{{- fail (printf "resources.requests.%s: %v is more than the limit of %v: raise resources.limits.%s, or ask for less." $name $asked $limit $name) }}
{{- end }}
{{- end }}
{{- range $i, $it := .Values.tolerations }}
{{- if and (not $it.key) (ne (default "" $it.operator) "Exists") }}
{{- fail (printf "tolerations[%d]: it has no key: name one, or set operator: Exists, which tolerates every taint." $i) }}
{{- end }}
{{- if and $it.value (eq (default "" $it.operator) "Exists") }}
{{- fail (printf "tolerations[%d]: operator Exists takes no value: remove value, or set operator: Equal." $i) }}
{{- end }}
{{- if and (hasKey $it "tolerationSeconds") (ne (default "" $it.effect) "NoExecute") }}
{{- fail (printf "tolerations[%d]: tolerationSeconds counts for effect: NoExecute alone: set that, or remove it." $i) }}
{{- end }}
{{- end }}
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
{{- /* Two that see the same hotfixes would refuse each other's records. Nothing is looked up where the chart is only rendered. */}}
{{- $this := printf "%s/%s" .Release.Namespace .Release.Name }}
{{- $found := lookup "admissionregistration.k8s.io/v1" "ValidatingAdmissionPolicyBinding" "" "" }}
{{- range dig "items" list $found }}
{{- $notes := default dict .metadata.annotations }}
{{- $other := printf "%s/%s" (get $notes "meta.helm.sh/release-namespace") (get $notes "meta.helm.sh/release-name") }}
{{- if and (eq (get (default dict .metadata.labels) "app.kubernetes.io/name") (include "hotfix.name" $)) (ne $other $this) }}
{{- $watched := dig "spec" "matchResources" "namespaceSelector" "matchLabels" "kubernetes.io/metadata.name" "" . }}
{{- if or (not $watched) (not $.Values.watchNamespace) (eq $watched $.Values.watchNamespace) }}
{{- $who := ternary "by its manifests" (printf "as release %s" $other) (eq $other "/") }}
{{- fail (printf "this operator would see the hotfixes of %s, where it is installed %s already, and each would refuse what the other records: uninstall that one, or give every one a watchNamespace of its own." (default "all namespaces" $watched) $who) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $i, $registry := .Values.registries }}
{{- if not (regexMatch (printf "^(localhost|%s)$" $host) $registry.host) }}
{{- fail (printf "registries[%d].host: %q is no host as images have it: write registry.corp or registry:5000, with a dot or a port, without http:// and without a path." $i $registry.host) }}
{{- end }}
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
