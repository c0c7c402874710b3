//! Nobody's messages are read before it is known whose they are: each may take as much
//! memory as messages may. A handshake, by which a client says who it is, has no message
//! that is read.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow_flight::flight_service_server::FlightServiceServer;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service as Call, http};
use tonic::metadata::MetadataMap;
use tonic::server::NamedService;

use crate::service::Service;
use crate::sessions::Sessions;

/// How the path of a handshake ends.
const HANDSHAKE: &str = "/Handshake";

/// See the module's documentation.
#[derive(Clone)]
pub(crate) struct Guarded {
    pub(crate) flight: FlightServiceServer<Service>,
    pub(crate) sessions: Arc<Sessions>,
}

impl NamedService for Guarded {
    const NAME: &'static str = <FlightServiceServer<Service> as NamedService>::NAME;
}

impl Call<http::Request<Body>> for Guarded {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if !request.uri().path().ends_with(HANDSHAKE) {
            let headers = MetadataMap::from_headers(request.headers().clone());
            if let Err(refused) = self.sessions.logins().user(&headers) {
                return Box::pin(std::future::ready(Ok(refused.into_http())));
            }
        }
        Call::call(&mut self.flight, request)
    }
}
