//! The one choice of cryptography for outgoing HTTPS.

/// Makes it the process's choice. Once is enough; again is harmless.
pub fn install() {
    // It fails only when a choice was made before, and then that one serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
