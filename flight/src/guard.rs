//! Nobody's messages are read before it is known whose they are: each may take as much
//! memory as messages may. A handshake, by which a client says who it is, has no message
//! that is read.
//!
//! The answer goes with the request, so that it is not asked for again.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow_flight::flight_service_server::FlightServiceServer;
use futures::TryFutureExt;
use opentelemetry::context::FutureExt;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service as Call, http};
use tonic::server::NamedService;
use tonic::{Extensions, Status};

use crate::outgoing;
use crate::service::Service;
use crate::sessions::Sessions;
use crate::{status, traces};

/// How the path of a handshake ends.
const HANDSHAKE: &str = "/Handshake";

/// See the module's documentation.
#[derive(Clone)]
pub(crate) struct Guarded {
    pub(crate) flight: FlightServiceServer<Service>,
    pub(crate) sessions: Arc<Sessions>,
}

/// Whose request it is; nobody's where nobody needs to log in.
#[derive(Clone)]
struct From(Option<Arc<str>>);

/// The user that a request is from, which went past [`Guarded`].
pub(crate) fn user_of(extensions: &Extensions) -> Result<Option<Arc<str>>, Status> {
    let from = extensions.get::<From>();
    from.map(|from| from.0.clone()).ok_or_else(|| status::internal("a request came unguarded"))
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

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        if !request.uri().path().ends_with(HANDSHAKE) {
            match self.sessions.logins().user(request.headers()) {
                Ok(user) => request.extensions_mut().insert(From(user)),
                Err(refused) => return Box::pin(std::future::ready(Ok(refused.into_http()))),
            };
        }
        let trace = traces::named(request.headers());
        let call = Call::call(&mut self.flight, request).map_ok(outgoing::send);
        Box::pin(call.with_context(trace))
    }
}
