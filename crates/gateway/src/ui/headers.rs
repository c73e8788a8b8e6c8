//! The security headers of each class of answer (product 5.8), as data. Which class an answer has, its handler knows.

/// Classes of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Every page without script: sign-in, consent, hand-off, account, errors.
    Page,
    /// `/setup`, the one page with a script.
    Setup,
    /// JSON for programs, answers without a body.
    Data,
    /// Answers of the token, revocation and registration endpoints: nobody may keep them.
    Credential,
    /// Metadata documents: any site may read them.
    Metadata,
    /// The stylesheet and the script, with a hash in their address.
    Asset,
}

/// How the gateway is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Plain, on loopback only.
    Http,
    /// TLS, here or in front of us.
    Https,
}

/// All headers of the class besides `Content-Type` and `Vary`, names in lower case.
#[must_use]
pub fn headers(class: Class, transport: Transport) -> Vec<(&'static str, &'static str)> {
    let sharing = if class == Class::Metadata { "cross-origin" } else { "same-origin" };
    let mut headers =
        vec![("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer"), ("cross-origin-resource-policy", sharing)];
    if transport == Transport::Https {
        headers.push(("strict-transport-security", "max-age=31536000"));
    }
    match class {
        Class::Page | Class::Setup => {
            headers.extend([
                ("content-security-policy", if class == Class::Setup { SETUP } else { PAGE }),
                ("x-frame-options", "DENY"),
                ("cache-control", "no-store"),
                ("cross-origin-opener-policy", "same-origin"),
                ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
            ]);
        }
        Class::Data | Class::Metadata => headers.push(("content-security-policy", DATA)),
        Class::Credential => {
            headers.extend([("content-security-policy", DATA), ("cache-control", "no-store"), ("pragma", "no-cache")]);
        }
        Class::Asset => headers.extend([("content-security-policy", DATA), ("cache-control", "public, max-age=31536000, immutable")]),
    }
    headers
}

const PAGE: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
const SETUP: &str =
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; script-src 'self'";
const DATA: &str = "default-src 'none'; frame-ancestors 'none'";
