//! Where commands for kubectl and Helm are to look: there, where edgectl itself found the pods.

use crate::args::{ClusterArgs, InstallationArgs};

/// The cluster and the namespaces.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Place {
    /// The programs are pods of one namespace, or of that of the context: commands can name them.
    has_pods: bool,
    /// None for that of the context.
    namespace: Option<String>,
    /// That of Mimir's overrides, and so of Mimir.
    of_mimir: Option<String>,
    context: Option<String>,
    kubeconfig: Option<String>,
}

impl Place {
    /// `replicas` are the names of those that were found, which begin with their namespaces if pods of all namespaces were.
    pub(super) fn new(args: &InstallationArgs, replicas: &[&str]) -> Self {
        let ClusterArgs { namespace, all_namespaces, context, kubeconfig } = &args.api.cluster;
        let pods = replicas.iter().filter(|name| !name.contains("://"));
        let mut found: Vec<_> = pods.filter_map(|name| Some(name.split_once('/')?.0)).collect();
        found.sort_unstable();
        found.dedup();
        // With several, a command in one of them would be a guess.
        let only = if let [only] = found[..] { Some(only.to_owned()) } else { None };
        let namespace = if *all_namespaces { only } else { namespace.clone() };
        Self {
            has_pods: args.api.are_pods() && (!all_namespaces || namespace.is_some()),
            namespace,
            of_mimir: args.configmap.as_ref().map(|config_map| config_map.namespace.clone()),
            context: context.clone(),
            kubeconfig: kubeconfig.as_ref().map(|file| file.display().to_string()),
        }
    }

    /// A command for the programs of the edge; none unless kubectl finds these.
    pub(super) fn kubectl(&self, command: &str) -> Option<String> {
        self.has_pods.then(|| self.in_namespace("kubectl", command, self.namespace.as_deref()))
    }

    /// The same for their releases.
    pub(super) fn helm(&self, command: &str) -> Option<String> {
        self.has_pods.then(|| self.in_namespace("helm", command, self.namespace.as_deref()))
    }

    /// A command for Mimir's pods; none if no flag says that kubectl finds these.
    pub(super) fn kubectl_of_mimir(&self, command: &str) -> Option<String> {
        match &self.of_mimir {
            Some(namespace) => Some(self.kubectl_in(command, namespace)),
            None => self.has_pods.then(|| self.in_namespace("kubectl", command, None) + " --all-namespaces"),
        }
    }

    /// A command for what is known to be in this namespace.
    pub(super) fn kubectl_in(&self, command: &str, namespace: &str) -> String {
        self.in_namespace("kubectl", command, Some(namespace))
    }

    fn in_namespace(&self, program: &str, command: &str, namespace: Option<&str>) -> String {
        let context = if program == "helm" { "--kube-context" } else { "--context" };
        let flags = [
            ("--namespace", namespace),
            (context, self.context.as_deref()),
            ("--kubeconfig", self.kubeconfig.as_deref()),
        ];
        let given = flags.iter().filter_map(|(flag, value)| Some(format!(" {flag} {}", word(value.as_ref()?))));
        format!("{program} {command}{}", given.collect::<String>())
    }
}

/// As a shell reads it back.
fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(has_pods: bool) -> Place {
        Place { has_pods, ..Place::default() }
    }

    #[test]
    fn commands_lead_to_the_cluster_of_the_flags() {
        let staging = Place {
            namespace: Some("edge".to_owned()),
            context: Some("staging".to_owned()),
            kubeconfig: Some("/it's a file".to_owned()),
            ..place(true)
        };
        let flags = r"--namespace edge --context staging --kubeconfig '/it'\''s a file'";
        assert_eq!(staging.kubectl("get pods"), Some(format!("kubectl get pods {flags}")));
        assert_eq!(staging.helm("list"), Some(format!("helm list {}", flags.replace("--context", "--kube-context"))));
        assert_eq!(place(true).kubectl("get pods"), Some("kubectl get pods".to_owned()));
        assert_eq!(place(true).kubectl_of_mimir("get pods"), Some("kubectl get pods --all-namespaces".to_owned()));
    }

    #[test]
    fn without_pods_there_are_no_commands() {
        assert_eq!((place(false).kubectl("get pods"), place(false).helm("list")), (None, None));
        assert_eq!(place(false).kubectl_of_mimir("get pods"), None);
        let of_mimir = Place { of_mimir: Some("mimir".to_owned()), ..place(false) };
        assert_eq!(of_mimir.kubectl_of_mimir("get pods"), Some("kubectl get pods --namespace mimir".to_owned()));
    }
}
