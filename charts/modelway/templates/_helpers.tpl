{{/* The name of all objects, at most 50 characters, so that a suffix fits. */}}
{{- define "modelway.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Labels that select the operator's pods. They never change: a Deployment's selector cannot. */}}
{{- define "modelway.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{/* Labels of every object. Ours win over commonLabels, for our selectors and Helm rely on them. */}}
{{- define "modelway.labels" -}}
{{- $ours := include "modelway.selectorLabels" . | fromYaml -}}
{{- $_ := set $ours "app.kubernetes.io/part-of" "modelway" -}}
{{- $_ := set $ours "app.kubernetes.io/version" .Chart.AppVersion -}}
{{- $_ := set $ours "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $_ := set $ours "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- merge $ours .Values.commonLabels | toYaml -}}
{{- end -}}

{{- define "modelway.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "modelway.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* An image reference, from (list root image). */}}
{{- define "modelway.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- if $image.registry }}{{ trimSuffix "/" $image.registry }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ default $root.Chart.AppVersion $image.tag }}{{ end }}
{{- end -}}

{{/* What the operator may do with ModelDeployments and what it makes of them: what it does, and nothing else.
     It makes Secrets, with keys for prediction ids, and can read, change and delete none. A ControllerRevision's content cannot be changed, so it is never replaced. */}}
{{- define "modelway.rules" -}}
- apiGroups: [modelway.dev]
  resources: [modeldeployments]
  verbs: [list, watch]
- apiGroups: [modelway.dev]
  resources: [modeldeployments/status]
  verbs: [update]
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [""]
  resources: [configmaps, services]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, update, delete]
# The CronJobs of spec.batchJobs; their Jobs are made by Kubernetes, and read. A Job of spec.monitoring.onDegraded is made from
# a CronJob of the user's, which is read.
- apiGroups: [batch]
  resources: [cronjobs]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [list, watch, create]
# Where the Gateway API is installed; for spec.traffic.parentRefs.
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, update, delete]
# A pod that has fetched other bytes than its revision is pinned to is deleted, and fetches them again.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, delete]
# One annotation of a router's pod, for its kubelet to look at its files at once; admissionpolicy.yaml allows no more.
- apiGroups: [""]
  resources: [pods]
  verbs: [patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/* The checks that a JSON schema cannot make. */}}
{{- define "modelway.check" -}}
{{- with .Values.leaderElection -}}
{{- if not (and (lt (float64 .retryPeriodSeconds) (float64 .renewDeadlineSeconds)) (lt (float64 .renewDeadlineSeconds) (float64 .leaseDurationSeconds))) -}}
{{- fail (printf "leaderElection: retryPeriodSeconds (%v) must be less than renewDeadlineSeconds (%v), and that less than leaseDurationSeconds (%v)" .retryPeriodSeconds .renewDeadlineSeconds .leaseDurationSeconds) -}}
{{- end -}}
{{- end -}}
{{- range .Values.extraEnv -}}
{{- if hasPrefix "MODELWAY_" .name -}}
{{- fail (printf "extraEnv: %s is a setting of the operator; set it by the chart's own value for it" .name) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.service.enabled) -}}
{{- fail "metrics.serviceMonitor.enabled needs metrics.service.enabled: a ServiceMonitor finds the pods through the Service" -}}
{{- end -}}
{{- end -}}
