//! Who a server of the lab's own is: an authority, a certificate of it for some addresses, and the key.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, SigningKey};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use super::error::{Asked, LabError};

/// A server's identity, with an authority that signed nothing else.
pub struct Identity {
    authority: String,
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    key: KeyPair,
}

impl Identity {
    /// Makes one for these addresses, signed by an authority of this name.
    pub fn of(addresses: &[IpAddr], authority: &str) -> Result<Self, LabError> {
        let made = || {
            let mut params = CertificateParams::new(Vec::new())?;
            params.distinguished_name.push(DnType::CommonName, authority);
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
            let mut params = CertificateParams::new(addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>())?;
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.use_authority_key_identifier_extension = true;
            let key = KeyPair::generate()?;
            let certificate = params.signed_by(&key, &authority)?;
            Ok(Self {
                authority: authority.pem(),
                certificate: certificate.der().clone(),
                certificate_pem: certificate.pem(),
                key,
            })
        };
        made().map_err(|error: rcgen::Error| unfit(&error))
    }

    /// The certificate of the authority, as PEM.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The server's own certificate.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// What accepts connections in its name.
    pub fn acceptor(&self) -> Result<TlsAcceptor, LabError> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(vec![self.certificate.clone()], key))
            .map_err(|error| unfit(&error))?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Writes `authority.pem`, `server.pem` and `server.key` into a folder.
    pub fn write(&self, folder: &Path) -> Result<(), LabError> {
        let key = self.key.serialize_pem();
        for (name, text) in
            [("authority.pem", &self.authority), ("server.pem", &self.certificate_pem), ("server.key", &key)]
        {
            std::fs::write(folder.join(name), text).asked(|| format!("writing {name}"))?;
        }
        Ok(())
    }

    /// The signature over some bytes by the server's key, in the two halves of 32 bytes that JSON web signatures use.
    pub fn sign(&self, bytes: &[u8]) -> Result<[u8; 64], LabError> {
        debug_assert_eq!(self.key.algorithm(), &rcgen::PKCS_ECDSA_P256_SHA256);
        let signature = self.key.sign(bytes).map_err(|error| unfit(&error))?;
        halves(&signature).ok_or_else(|| unfit(&"its key signs in an unknown way"))
    }
}

/// The two numbers of an ECDSA signature in DER: a sequence of two integers, each with as many bytes as it needs.
fn halves(der: &[u8]) -> Option<[u8; 64]> {
    let (first, rest) = integer(der.get(2..)?)?;
    let (second, _) = integer(rest)?;
    let mut both = [0; 64];
    for (number, end) in [(first, 32_usize), (second, 64)] {
        let start = end.checked_sub(number.len())?;
        both.get_mut(start..end)?.copy_from_slice(number);
    }
    Some(both)
}

fn integer(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[0x02, length], rest) = der.split_first_chunk::<2>()? else { return None };
    let (number, rest) = rest.split_at_checked(length.into())?;
    // A leading zero only says that the number is not negative.
    Some((number.strip_prefix(&[0]).unwrap_or(number), rest))
}

fn unfit(error: &dyn std::fmt::Display) -> LabError {
    LabError::Unfit(format!("no certificate for a server of the lab: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_taken_apart_whatever_the_length_of_its_halves() {
        let mut der = vec![0x30, 0, 0x02, 33, 0];
        der.extend([0x80; 32]);
        der.extend([0x02, 2, 0x01, 0x02]);
        let both = halves(&der).expect("it is one");
        assert_eq!(both[..32], [0x80; 32]);
        assert_eq!((both[32..62].iter().all(|byte| *byte == 0), &both[62..]), (true, &[1, 2][..]));
        assert_eq!(halves(&der[..20]), None);
    }
}
