use crate::Gateway;
use crate::listen::OfficeRequest;
use crate::listen::body::Body;
use doorward_core::oauth::registration::Request;
use http::Response;

impl Gateway {
    pub(crate) async fn register(&self, mut request: OfficeRequest) -> Response<Body> {
        let body = request.read().await.unwrap_or_default();
        let schemes = doorward_core::oauth::redirect::Schemes::default();
        let made = Request::parse(&body, &schemes).and_then(|asked| self.reception.registrations.register(asked, self.env.bytes().unwrap_or_default()));
        match made {
            Ok(made) => super::credential(201, &made.answer(self.env.now())),
            Err(refused) => super::credential(400, &serde_json::json!({"error": refused.code(), "error_description": refused.to_string()})),
        }
    }
}
