//! Certificate authorities and the certificates that programs show each other.

use std::sync::atomic::{AtomicU64, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SerialNumber};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate authority.
#[derive(Debug)]
pub struct Authority {
    name: String,
    issuer: CertifiedIssuer<'static, KeyPair>,
    serial: String,
}

impl Authority {
    /// One of this name with a key of its own.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self::with_key(name, new_key())
    }

    /// The same authority with another certificate for the same key.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn renewed(&self) -> Self {
        let key = KeyPair::from_pem(&self.issuer.key().serialize_pem()).expect("it is a key");
        Self::with_key(&self.name, key)
    }

    fn with_key(name: &str, key: KeyPair) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("an authority has no names");
        // A certificate that has its issuer's name passes for self-signed.
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let serial = numbered(&mut params);
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority can be made");
        Self { name: name.to_owned(), issuer, serial }
    }

    /// Its certificate, as PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Its certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        self.issuer.der()
    }

    /// The serial number of its certificate, which no other has, in hexadecimal digits.
    #[must_use]
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// A certificate for these host names and addresses, and a key for it.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn issue(&self, names: &[&str]) -> Identity {
        self.issue_with(names, |_| ())
    }

    /// The same, expired since 2020.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn issue_expired(&self, names: &[&str]) -> Identity {
        self.issue_with(names, |params| {
            params.not_before = rcgen::date_time_ymd(2019, 1, 1);
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        })
    }

    fn issue_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("the names are host names and addresses");
        change(&mut params);
        let serial = numbered(&mut params);
        let key = new_key();
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate can be signed");
        Identity { certificate, key, serial }
    }
}

/// Gives it a serial number.
fn numbered(params: &mut CertificateParams) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0x1000_0001);
    let serial = NEXT.fetch_add(1, Ordering::Relaxed);
    params.serial_number = Some(SerialNumber::from(serial));
    format!("{serial:x}")
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("a key can be made")
}

/// What a program shows: a certificate that it has the key of.
#[derive(Debug)]
pub struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
    serial: String,
}

impl Identity {
    /// The certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        self.certificate.der()
    }

    /// The certificate's serial number, which no other has, in hexadecimal digits.
    #[must_use]
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// The certificate, as PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// The key, as PEM.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// The key.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).expect("it is a key")
    }
}
