//! What an API server and its clients read from files: tokens, keys, kubeconfigs.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use rcgen::{CertifiedKey, KeyPair};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio_rustls::rustls::pki_types::CertificateDer;

use super::{ADMIN, Token};

/// A folder with all of them.
#[derive(Debug)]
pub(super) struct Files<'a>(pub(super) &'a Path);

impl Files<'_> {
    pub(super) fn tokens(&self) -> PathBuf {
        self.0.join("tokens.csv")
    }

    pub(super) fn certificate(&self) -> PathBuf {
        self.0.join("serving.crt")
    }

    pub(super) fn key(&self) -> PathBuf {
        self.0.join("serving.key")
    }

    /// What service accounts' tokens are verified with.
    pub(super) fn accounts_public(&self) -> PathBuf {
        self.0.join("sa.pub")
    }

    /// What service accounts' tokens are signed with.
    pub(super) fn accounts_private(&self) -> PathBuf {
        self.0.join("sa.key")
    }

    /// Writes the keys, which stay the same for as long as the folder is there, and gives the certificate that clients are to trust.
    pub(super) fn write_keys(&self) -> CertificateDer<'static> {
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(names).expect("a certificate can be made");
        write(&self.certificate(), &cert.pem());
        write(&self.key(), &signing_key.serialize_pem());
        let accounts = KeyPair::generate().expect("a key can be made");
        write(&self.accounts_public(), &accounts.public_key_pem());
        write(&self.accounts_private(), &accounts.serialize_pem());
        cert.der().clone()
    }

    /// Writes who may come: the administrator, and these.
    pub(super) fn write_tokens(&self, tokens: &[Token]) {
        let mut lines = format!("{ADMIN},admin,admin,\"system:masters\"\n");
        for Token { secret, user, groups } in tokens {
            writeln!(lines, "{secret},{user},{user},\"{}\"", groups.join(",")).expect("a string takes any write");
        }
        write(&self.tokens(), &lines);
    }

    /// Writes a kubeconfig with one user.
    pub(super) fn write_kubeconfig(&self, name: &str, url: &str, user: &Value) -> PathBuf {
        let path = self.0.join(format!("{name}.kubeconfig"));
        // JSON is YAML, and needs no care for what is in a path.
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "e2e", "cluster": { "server": url, "certificate-authority": self.certificate() } }],
            "users": [{ "name": "e2e", "user": user }],
            "contexts": [{ "name": "e2e", "context": { "cluster": "e2e", "user": "e2e" } }],
            "current-context": "e2e",
        });
        write(&path, &kubeconfig.to_string());
        path
    }
}

/// Writes a file as a whole: a program that reads an earlier one meanwhile finds no half of it.
fn write(path: &Path, text: &str) {
    let folder = path.parent().expect("a file is in a folder");
    let mut file = NamedTempFile::new_in(folder).expect("a file can be made");
    file.write_all(text.as_bytes()).expect("a file can be written");
    drop(file.persist(path).expect("a file can be renamed"));
}
