//! What the programs of a secured edge show and trust, and the token that they ask for, mounted as the kubelet mounts Secrets.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::authority::{Authority, Identity};
use crate::envoy::RLS_NAME;
use crate::helm::helm_template;
use crate::http_side::Https;
use crate::mounted_folder::MountedFolder;
use crate::programs::repository;
use crate::tls_client::TlsClient;

/// Where the charts mount the Secrets.
pub(crate) const MOUNT_PATH: &str = "/etc/mimir-edge";
const TOKEN: &str = "token-of-the-tests";

/// A program of the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Envoy.
    Envoy,
    /// mimir-rls.
    MimirRls,
    /// overrides-sync.
    OverridesSync,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Envoy, Self::MimirRls, Self::OverridesSync];

    fn chart(self) -> &'static str {
        match self {
            Self::Envoy => "envoy",
            Self::MimirRls => "mimir-rls",
            Self::OverridesSync => "overrides-sync",
        }
    }

    /// A certificate for it: for the name by which its clients call it, and the address by which the test does.
    #[must_use]
    pub fn identity(self, authority: &Authority) -> Identity {
        match self {
            Self::Envoy => authority.issue(&["mimir-envoy.mimir-edge.test"]),
            Self::MimirRls => authority.issue(&[RLS_NAME, "127.0.0.1"]),
            Self::OverridesSync => authority.issue(&["127.0.0.1"]),
        }
    }
}

/// A Secret for each program, and one with the token.
#[derive(Debug)]
pub struct Secrets {
    https: Https,
    mounted: [(Program, MountedFolder); 3],
    folder: TempDir,
}

impl Secrets {
    /// Secrets with certificates of the first authority. The programs trust it alone, and the test's own clients all of them.
    ///
    /// # Panics
    /// When they cannot be written.
    #[must_use]
    pub fn new(authorities: &[&Authority]) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let place = |program: Program| folder.path().join(program.chart());
        for program in Program::ALL {
            MountedFolder::at(&place(program).join("token")).swap(&[("token", TOKEN)]);
        }
        let mounted = Program::ALL.map(|program| (program, MountedFolder::at(&place(program).join("tls"))));
        let client = TlsClient::new(authorities.iter().map(|authority| authority.certificate()), None);
        let secrets = Self { https: Https { client, token: TOKEN.to_owned() }, mounted, folder };
        let first = authorities.first().expect("there is an authority");
        for program in Program::ALL {
            secrets.mount(program, &program.identity(first), &[first]);
        }
        secrets
    }

    /// Replaces what a program shows and trusts.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn mount(&self, program: Program, shown: &Identity, trusted: &[&Authority]) {
        let authorities: String = trusted.iter().map(|authority| authority.pem()).collect();
        let files = [("tls.crt", &shown.pem()), ("tls.key", &shown.key_pem()), ("ca.crt", &authorities)];
        let (_, mounted) =
            self.mounted.iter().find(|(other, _)| *other == program).expect("each program has its Secret");
        mounted.swap(&files.map(|(name, text)| (name, text.as_str())));
    }

    /// How to reach the HTTP sides.
    #[must_use]
    pub fn https(&self) -> &Https {
        &self.https
    }

    /// What a program has at [`MOUNT_PATH`].
    pub(crate) fn place(&self, program: Program) -> PathBuf {
        self.folder.path().join(program.chart())
    }

    /// The arguments with which the chart of a program names the files.
    ///
    /// # Panics
    /// When the chart does not render.
    #[must_use]
    #[track_caller]
    pub fn arguments(&self, program: Program) -> Vec<String> {
        let values = [("tls.enabled", "true"), ("http.tls", "true"), ("http.tokenSecret.name", "api")];
        let chart = repository().join("charts").join(program.chart());
        let manifests = helm_template(&chart, program.chart(), "mimir-edge", &values);
        let place = self.place(program).display().to_string();
        let rendered = manifests.lines().filter_map(|line| line.trim().strip_prefix("- "));
        let rendered = rendered.filter(|argument| argument.starts_with("--") && argument.contains(MOUNT_PATH));
        rendered.map(|argument| argument.replace(MOUNT_PATH, &place)).collect()
    }
}
