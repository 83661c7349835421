# The Kubernetes objects of the burst capacity, as attribute sets: the same binary as pods that
# come when processors are busy or requests queue, and go again.
{
  image,
  settings,
  # Names of the secrets that the pods get.
  credentials,
  nodePort,
  # Where queue-metric.py answers.
  metricAddress,
  metricPort,
}:
let
  name = "quizmentor";
  namespace = "quizmentor";
  labels."app.kubernetes.io/name" = name;
  metadata = {
    inherit name namespace labels;
  };
  metricsName = "quizmentor-metrics";
  probe = path: {
    httpGet = {
      inherit path;
      port = "http";
    };
    timeoutSeconds = 2;
  };
in
{
  namespace = {
    apiVersion = "v1";
    kind = "Namespace";
    metadata = {
      name = namespace;
      labels = labels // {
        "pod-security.kubernetes.io/enforce" = "restricted";
      };
    };
  };

  settings = {
    apiVersion = "v1";
    kind = "ConfigMap";
    inherit metadata;
    data."quizmentor.toml" = settings;
  };

  service = {
    apiVersion = "v1";
    kind = "Service";
    inherit metadata;
    spec = {
      type = "NodePort";
      # Only pods of the node that was asked: HAProxy does the spreading, and sees who is there.
      externalTrafficPolicy = "Local";
      selector = labels;
      ports = [
        {
          name = "http";
          port = 80;
          targetPort = "http";
          inherit nodePort;
        }
      ];
    };
  };

  deployment = {
    apiVersion = "apps/v1";
    kind = "Deployment";
    inherit metadata;
    spec = {
      selector.matchLabels = labels;
      strategy = {
        type = "RollingUpdate";
        rollingUpdate = {
          maxUnavailable = 0;
          maxSurge = 1;
        };
      };
      template = {
        metadata = {
          inherit labels;
          # Other settings are other pods.
          annotations."quizmentor/settings" = builtins.hashString "sha256" settings;
        };
        spec = {
          automountServiceAccountToken = false;
          enableServiceLinks = false;
          terminationGracePeriodSeconds = 40;
          securityContext = {
            runAsNonRoot = true;
            runAsUser = 65532;
            runAsGroup = 65532;
            fsGroup = 65532;
            seccompProfile.type = "RuntimeDefault";
          };
          topologySpreadConstraints = [
            {
              maxSkew = 1;
              topologyKey = "kubernetes.io/hostname";
              whenUnsatisfiable = "ScheduleAnyway";
              labelSelector.matchLabels = labels;
            }
          ];
          containers = [
            {
              inherit name image;
              imagePullPolicy = "Never";
              args = [
                "serve"
                "--config"
                "/etc/quizmentor/quizmentor.toml"
              ];
              env = [
                {
                  name = "CREDENTIALS_DIRECTORY";
                  value = "/run/credentials";
                }
                {
                  name = "STATE_DIRECTORY";
                  value = "/tmp/state";
                }
              ];
              ports = [
                {
                  name = "http";
                  containerPort = 8080;
                }
              ];
              startupProbe = probe "/readyz" // {
                periodSeconds = 1;
                failureThreshold = 60;
              };
              readinessProbe = probe "/readyz" // {
                periodSeconds = 2;
              };
              livenessProbe = probe "/livez" // {
                periodSeconds = 10;
              };
              lifecycle.preStop.sleep.seconds = 5;
              resources = {
                requests = {
                  cpu = "500m";
                  memory = "256Mi";
                };
                limits.memory = "384Mi";
              };
              securityContext = {
                allowPrivilegeEscalation = false;
                readOnlyRootFilesystem = true;
                capabilities.drop = [ "ALL" ];
              };
              volumeMounts = [
                {
                  name = "settings";
                  mountPath = "/etc/quizmentor";
                  readOnly = true;
                }
                {
                  name = "credentials";
                  mountPath = "/run/credentials";
                  readOnly = true;
                }
                {
                  name = "scratch";
                  mountPath = "/tmp";
                }
              ];
            }
          ];
          volumes = [
            {
              name = "settings";
              configMap = { inherit name; };
            }
            {
              name = "credentials";
              secret = {
                secretName = name;
                defaultMode = 288; # 0440
                items = map (key: {
                  inherit key;
                  path = key;
                }) credentials;
              };
            }
            {
              name = "scratch";
              emptyDir.sizeLimit = "64Mi";
            }
          ];
        };
      };
    };
  };

  # The API server's way to queue-metric.py, and the autoscaler's leave to ask.
  metrics-service = {
    apiVersion = "v1";
    kind = "Service";
    metadata = metadata // {
      name = metricsName;
    };
    spec.ports = [
      {
        name = "https";
        port = 443;
        targetPort = metricPort;
      }
    ];
  };
  metrics-endpoint = {
    apiVersion = "discovery.k8s.io/v1";
    kind = "EndpointSlice";
    metadata = metadata // {
      name = metricsName;
      labels = labels // {
        "kubernetes.io/service-name" = metricsName;
      };
    };
    addressType = "IPv4";
    endpoints = [ { addresses = [ metricAddress ]; } ];
    ports = [
      {
        name = "https";
        port = metricPort;
      }
    ];
  };
  metrics-api = {
    apiVersion = "apiregistration.k8s.io/v1";
    kind = "APIService";
    metadata = {
      name = "v1beta1.external.metrics.k8s.io";
      inherit labels;
    };
    spec = {
      group = "external.metrics.k8s.io";
      version = "v1beta1";
      groupPriorityMinimum = 100;
      versionPriority = 100;
      # On the same machine; who asks is checked, by certificate.
      insecureSkipTLSVerify = true;
      service = {
        name = metricsName;
        inherit namespace;
      };
    };
  };
  metrics-reader = {
    apiVersion = "rbac.authorization.k8s.io/v1";
    kind = "ClusterRole";
    metadata = {
      name = metricsName;
      inherit labels;
    };
    rules = [
      {
        apiGroups = [ "external.metrics.k8s.io" ];
        resources = [ "quizmentor_queue_depth" ];
        verbs = [
          "get"
          "list"
        ];
      }
    ];
  };
  metrics-binding = {
    apiVersion = "rbac.authorization.k8s.io/v1";
    kind = "ClusterRoleBinding";
    metadata = {
      name = metricsName;
      inherit labels;
    };
    roleRef = {
      apiGroup = "rbac.authorization.k8s.io";
      kind = "ClusterRole";
      name = metricsName;
    };
    subjects = [
      {
        kind = "ServiceAccount";
        name = "horizontal-pod-autoscaler";
        namespace = "kube-system";
      }
    ];
  };

  disruption = {
    apiVersion = "policy/v1";
    kind = "PodDisruptionBudget";
    inherit metadata;
    spec = {
      maxUnavailable = 1;
      selector.matchLabels = labels;
    };
  };

  autoscaler = {
    apiVersion = "autoscaling/v2";
    kind = "HorizontalPodAutoscaler";
    inherit metadata;
    spec = {
      scaleTargetRef = {
        apiVersion = "apps/v1";
        kind = "Deployment";
        inherit name;
      };
      minReplicas = 1;
      maxReplicas = 4;
      metrics = [
        {
          type = "Resource";
          resource = {
            name = "cpu";
            target = {
              type = "Utilization";
              averageUtilization = 70;
            };
          };
        }
        # Requests that wait at the front doors, which queue-metric.py tells.
        {
          type = "External";
          external = {
            metric.name = "quizmentor_queue_depth";
            target = {
              type = "AverageValue";
              averageValue = "20";
            };
          };
        }
      ];
      behavior = {
        scaleUp.stabilizationWindowSeconds = 0;
        scaleDown.stabilizationWindowSeconds = 300;
      };
    };
  };
}
