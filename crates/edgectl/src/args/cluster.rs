//! The flags of kubectl that choose a cluster and a namespace.

use std::path::PathBuf;

use clap::Args;

/// Which pods are the replicas.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ClusterArgs {
    /// Namespace of mimir-rls's pods: they are found and reached with kubectl, in place of --address
    #[arg(short, long, value_name = "NAMESPACE", conflicts_with = "all_namespaces")]
    pub(crate) namespace: Option<String>,

    /// The same with the pods of all namespaces
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,

    /// The same with this context of the kubeconfig
    #[arg(long, value_name = "CONTEXT")]
    pub(crate) context: Option<String>,

    /// The same with this kubeconfig
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
}

impl ClusterArgs {
    /// Whether one of them is given.
    pub(crate) fn are_given(&self) -> bool {
        let Self { namespace, all_namespaces, context, kubeconfig } = self;
        namespace.is_some() || *all_namespaces || context.is_some() || kubeconfig.is_some()
    }
}
