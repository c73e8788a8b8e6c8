//! RFC 8414 and RFC 9728 documents.

use crate::Gateway;
use crate::listen::OfficeRequest;
use crate::listen::body::Body;
use crate::listen::http::plain;
use crate::listen::page::{document, not_allowed};
use crate::ui::headers::{Class, Transport, headers};
use doorward_core::id::ServerName;
use doorward_core::oauth::admission::{DeviceGrant, Documents, Registrations};
use doorward_core::oauth::metadata::{Offers, protected_resource, server};
use http::header::{CACHE_CONTROL, HeaderValue};
use http::{Method, Response, StatusCode};
use serde_json::Value;

impl Gateway {
    /// The authorization server (product AS2).
    pub(crate) fn metadata(&self, request: &OfficeRequest) -> Response<Body> {
        self.trace.metadata_read(request.peer, None, self.env.now());
        public(request, &server(self.root(), self.offers()))
    }

    /// What the configuration lets work.
    fn offers(&self) -> Offers {
        let admission = self.clients.admission();
        let documents = admission.documents != Documents::Off;
        Offers {
            registration: admission.registrations != Registrations::Off,
            documents,
            assertions: documents || self.clients.has_keys(),
            own: self.clients.has_own(),
            attested: self.issuers.take_grants() || self.enterprise.is_some(),
            exchanges: self.clients.has_exchanges(),
            binding: self.proofs.binding(),
            devices: admission.device_grant != DeviceGrant::Off,
        }
    }

    /// One MCP server (product AS1). One that is not configured or switched off has no document.
    pub(crate) fn resource_metadata(&self, request: &OfficeRequest, name: &ServerName) -> Response<Body> {
        match self.upstreams.find(name).filter(|upstream| upstream.config.enabled) {
            Some(upstream) => {
                self.trace.metadata_read(request.peer, Some(name), self.env.now());
                public(request, &protected_resource(self.root(), name, &upstream.config.title, self.proofs.binding()))
            }
            None => plain(StatusCode::NOT_FOUND, "There is nothing here."),
        }
    }
}

/// Clients read it again at each start; for five minutes a cache may answer.
fn public(request: &OfficeRequest, content: &Value) -> Response<Body> {
    if request.method != Method::GET && request.method != Method::HEAD {
        return not_allowed("GET, HEAD");
    }
    let mut response = document(200, content, &headers(Class::Metadata, Transport::Http));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}
