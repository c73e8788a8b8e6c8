//! The front office: which desk a request goes to. The routes are complete; what a desk does, it does alone.

use crate::Gateway;
use crate::listen::body::Body;
use crate::listen::page::{not_allowed, text};
use crate::listen::route::Office;
use crate::listen::{BadBody, OfficeRequest};
use crate::ui::assets::{ICON, SETUP_SCRIPT, STYLE};
use crate::ui::headers::{Class, Transport, headers};
use http::{Method, Response};
use std::sync::Arc;

impl Gateway {
    /// One request, to its desk. Supervised: what began is recorded to its end if the client hangs up.
    pub(crate) async fn attend(self: Arc<Self>, request: OfficeRequest) -> Response<Body> {
        let gateway = Arc::clone(&self);
        let answer = self.tasks.run(Box::pin(async move { gateway.desk_of(request).await })).await;
        answer.unwrap_or_else(|_| crate::listen::http::plain(http::StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong here."))
    }

    async fn desk_of(&self, request: OfficeRequest) -> Response<Body> {
        match request.office.clone() {
            Office::Metadata => self.metadata(&request),
            Office::Resource(server) => self.resource_metadata(&request, &server),
            Office::Authorize => self.authorize(request).await,
            Office::Consent => self.consent(request).await,
            Office::Token => self.token(request).await,
            Office::Register => self.registration(request).await,
            Office::Revoke => self.revoke(request).await,
            Office::Introspect => self.introspect(request).await,
            Office::AskForDevice => self.ask_for_device(request).await,
            Office::Device => self.device(request).await,
            Office::Setup => self.setup(request).await,
            Office::Login => self.login(request).await,
            Office::Provider(name) => self.depart(request, &name).await,
            Office::Callback(name) => self.arrive(request, &name).await,
            Office::ProviderLogout(name) => self.provider_logout(request, &name).await,
            Office::Logout => self.logout(request).await,
            Office::Me => self.me(request).await,
            Office::Connect(server) => self.connection(request, &server).await,
            Office::Connected(server) => self.connected(request, &server).await,
            Office::Attempt(id) => self.attempt_page(request, id).await,
            Office::Home => self.home(request).await,
            Office::Admin(page) => self.admin(request, page).await,
            Office::Api(api) => self.api(request, api).await,
            Office::Style => asset(&request, "text/css; charset=utf-8", STYLE),
            Office::Icon => asset(&request, "image/svg+xml", ICON),
            Office::SetupScript => asset(&request, "text/javascript; charset=utf-8", SETUP_SCRIPT),
        }
    }
}

impl Gateway {
    /// `/oauth/register`.
    async fn registration(&self, mut request: OfficeRequest) -> Response<Body> {
        if request.method != Method::POST {
            return not_allowed("POST");
        }
        match request.read().await {
            Ok(body) => self.register(&request.headers, &body, request.peer),
            Err(BadBody::TooLarge) => crate::listen::http::plain(http::StatusCode::PAYLOAD_TOO_LARGE, "The registration is too large."),
            Err(_) => crate::listen::http::plain(http::StatusCode::BAD_REQUEST, "The registration did not arrive whole."),
        }
    }
}

/// Compiled in, with the hash of its content in its address.
fn asset(request: &OfficeRequest, media: &'static str, content: &'static str) -> Response<Body> {
    if request.method != Method::GET && request.method != Method::HEAD {
        return not_allowed("GET, HEAD");
    }
    text(200, media, content, &headers(Class::Asset, Transport::Http))
}
