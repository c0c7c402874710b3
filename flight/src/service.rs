//! The calls of Flight, and what each command and action of Flight SQL is for.

use std::pin::Pin;
use std::sync::Arc;

use arrow_flight::flight_descriptor::DescriptorType;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionCancelQueryResult, ActionClosePreparedStatementRequest,
    ActionCreatePreparedStatementRequest, Any, Command, CommandStatementIngest,
    DoPutPreparedStatementResult, DoPutUpdateResult, ProstMessageExt,
};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, Criteria,
    Empty, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest,
    HandshakeResponse, PollInfo, PutResult, RenewFlightEndpointRequest, SchemaResult, Ticket,
};
use futures::{Stream, StreamExt, stream};
use prost::Message;
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Response, Status, Streaming};

use crate::connection;
use crate::incoming::{self, Incoming};
use crate::outgoing::{Outgoing, Unused};
use crate::protocol::{
    CLOSE_SESSION, CloseSessionResult, CloseStatus, GET_SESSION_OPTIONS, SET_SESSION_OPTIONS,
};
use crate::sessions::{Client, Sessions};
use crate::shape::{Shape, encoded};
use crate::statements::{self, Announced};
use crate::status;
use crate::tickets::{Handle, StatementTicket};
use crate::{guard, metadata, options};

/// Actions, and what they are for.
const ACTIONS: [(&str, &str); 8] = [
    ("CreatePreparedStatement", "Prepares a statement."),
    ("ClosePreparedStatement", "Frees a prepared statement."),
    ("CancelFlightInfo", "Stops the rows of a query."),
    ("CancelQuery", "Stops the rows of a query; use CancelFlightInfo."),
    ("RenewFlightEndpoint", "Gives an endpoint back: none expires while it is used."),
    (SET_SESSION_OPTIONS, "Sets catalog, schema, views, endpoints, or a setting."),
    (GET_SESSION_OPTIONS, "Lists the options of the session."),
    (CLOSE_SESSION, "Ends the session and frees what belongs to it."),
];

type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// See the module's documentation.
#[derive(Clone)]
pub(crate) struct Service {
    sessions: Arc<Sessions>,
}

impl Service {
    pub(crate) fn new(sessions: Arc<Sessions>) -> Self {
        Self { sessions }
    }

    /// Announces the rows of a descriptor.
    async fn announce(
        &self,
        client: &Client,
        descriptor: &FlightDescriptor,
    ) -> Result<Announced, Status> {
        match command_of(descriptor)? {
            Command::CommandStatementQuery(command) => {
                no_transaction(command.transaction_id.as_ref())?;
                statements::announce(&self.sessions, client, command.query).await
            }
            Command::CommandPreparedStatementQuery(command) => {
                let (handle, prepared) =
                    statements::prepared(&self.sessions, &command.prepared_statement_handle)?;
                prepared.announce(&self.sessions, client, handle).await
            }
            command => match metadata::schema(&command)? {
                Some(schema) => Ok(Announced { schema, tickets: vec![descriptor.cmd.clone()] }),
                None => Err(unknown(&command)),
            },
        }
    }

    fn client(&self, headers: &MetadataMap, extensions: &Extensions) -> Result<Client, Status> {
        let user = guard::user_of(extensions)?;
        self.sessions.client(user, headers, connection::of(extensions))
    }

    async fn info(
        &self,
        client: Client,
        descriptor: FlightDescriptor,
    ) -> Result<FlightInfo, Status> {
        let announced = self.announce(&client, &descriptor).await?;
        let info =
            FlightInfo::new().try_with_schema(&announced.schema).map_err(status::internal)?;
        // Without a location the client uses the connection that it has.
        let endpoint = |ticket| FlightEndpoint::new().with_ticket(Ticket::new(ticket));
        let endpoints = announced.tickets.into_iter().map(endpoint);
        Ok(endpoints.fold(info, FlightInfo::with_endpoint).with_descriptor(descriptor))
    }

    /// The answer to a write.
    async fn put(
        &self,
        client: Client,
        first: FlightData,
        rest: Streaming<FlightData>,
    ) -> Result<Vec<u8>, Status> {
        let descriptor = first.flight_descriptor.clone();
        let descriptor =
            descriptor.ok_or_else(|| status::malformed("the first message has no command"))?;
        let command = command_of(&descriptor)?;
        let messages = stream::once(std::future::ready(Ok(first))).chain(rest);
        let update = |record_count| DoPutUpdateResult { record_count }.encode_to_vec();
        match command {
            Command::CommandStatementUpdate(command) => {
                no_transaction(command.transaction_id.as_ref())?;
                statements::update(&client.session, &command.query).await.map(update)
            }
            Command::CommandPreparedStatementQuery(command) => {
                let (handle, prepared) =
                    statements::prepared(&self.sessions, &command.prepared_statement_handle)?;
                prepared.bind(rows_of(incoming::read(messages).await?)).await?;
                let prepared_statement_handle = Some(handle.bytes());
                Ok(DoPutPreparedStatementResult { prepared_statement_handle }.encode_to_vec())
            }
            Command::CommandPreparedStatementUpdate(command) => {
                let (_, prepared) =
                    statements::prepared(&self.sessions, &command.prepared_statement_handle)?;
                let rows = rows_of(incoming::read(messages).await?);
                prepared.update(rows).await.map(update)
            }
            Command::CommandStatementIngest(command) => {
                let rows = incoming::read(messages).await?;
                ingest(&client, command, rows).await.map(update)
            }
            other => Err(unknown(&other)),
        }
    }

    async fn act(&self, client: &Client, action: &Action) -> Result<Vec<Vec<u8>>, Status> {
        match action.r#type.as_str() {
            "CreatePreparedStatement" => {
                let request: ActionCreatePreparedStatementRequest = unpacked(action)?;
                no_transaction(request.transaction_id.as_ref())?;
                let result = statements::prepare(&self.sessions, client, &request.query).await?;
                Ok(vec![result.as_any().encode_to_vec()])
            }
            "ClosePreparedStatement" => {
                let request: ActionClosePreparedStatementRequest = unpacked(action)?;
                if let Some(handle) = Handle::of(&request.prepared_statement_handle) {
                    self.sessions.prepared.remove(&handle);
                }
                Ok(Vec::new())
            }
            "CancelFlightInfo" => {
                let request: CancelFlightInfoRequest = decoded(action)?;
                let info = request.info.ok_or_else(|| status::malformed("it names no query"))?;
                Ok(vec![CancelFlightInfoResult::new(self.cancel(&info)).encode_to_vec()])
            }
            "CancelQuery" => {
                let request: ActionCancelQueryRequest = unpacked(action)?;
                let info = FlightInfo::decode(request.info).map_err(status::malformed)?;
                // The same numbers under another name.
                let result = ActionCancelQueryResult { result: self.cancel(&info) as i32 };
                Ok(vec![result.as_any().encode_to_vec()])
            }
            "RenewFlightEndpoint" => {
                let request: RenewFlightEndpointRequest = decoded(action)?;
                let endpoint = request.endpoint;
                let endpoint = endpoint.ok_or_else(|| status::malformed("it names no endpoint"))?;
                Ok(vec![endpoint.encode_to_vec()])
            }
            SET_SESSION_OPTIONS => {
                let result = options::set(client, decoded(action)?).await;
                Ok(vec![result.encode_to_vec()])
            }
            GET_SESSION_OPTIONS => Ok(vec![options::list(client).await?.encode_to_vec()]),
            CLOSE_SESSION => {
                self.sessions.end(client);
                // Without a cookie the connection goes on, with a new session.
                let status = match client.has_cookie {
                    true => CloseStatus::Closed,
                    false => CloseStatus::Closing,
                };
                Ok(vec![CloseSessionResult { status: status as i32 }.encode_to_vec()])
            }
            "BeginTransaction" | "EndTransaction" | "BeginSavepoint" | "EndSavepoint" => {
                Err(no_transactions())
            }
            "CreatePreparedSubstraitPlan" => Err(status::unimplemented("a Substrait plan")),
            other => Err(status::unimplemented(&format!("the action '{other}'"))),
        }
    }

    /// Stops the rows of an announced query, if any are on their way.
    fn cancel(&self, info: &FlightInfo) -> CancelStatus {
        let tickets = info.endpoint.iter().filter_map(|endpoint| endpoint.ticket.as_ref());
        let handles = tickets.filter_map(|ticket| handle_of(&ticket.ticket).ok().flatten());
        let cancelled = handles.fold(false, |cancelled, handle| {
            // Those that wait end for each reader, those on their way where their reader is not
            // asked for more.
            let waiting = self.sessions.results.remove(&handle);
            if let Some(waiting) = &waiting {
                waiting.stop();
            }
            self.sessions.on_their_way.stop(handle) || waiting.is_some() || cancelled
        });
        if cancelled { CancelStatus::Cancelled } else { CancelStatus::NotCancellable }
    }
}

#[tonic::async_trait]
impl FlightService for Service {
    type HandshakeStream = Streamed<HandshakeResponse>;
    type ListFlightsStream = Streamed<FlightInfo>;
    type DoGetStream = Unused;
    type DoPutStream = Streamed<PutResult>;
    type DoActionStream = Streamed<arrow_flight::Result>;
    type ListActionsStream = Streamed<ActionType>;
    type DoExchangeStream = Streamed<FlightData>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        let token = self.sessions.logins().log_in(request.metadata().as_ref()).await?;
        let header = format!("Bearer {token}").parse().map_err(status::internal)?;
        // Some clients look here for it, and others there.
        let answer = HandshakeResponse { protocol_version: 0, payload: token.into() };
        let mut response: Response<Self::HandshakeStream> =
            Response::new(Box::pin(stream::iter([Ok(answer)])));
        response.metadata_mut().insert("authorization", header);
        Ok(response)
    }

    async fn list_flights(
        &self,
        request: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        self.client(request.metadata(), request.extensions())?;
        // Tables are listed by GetTables.
        Ok(Response::new(Box::pin(stream::empty())))
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let (headers, extensions, descriptor) = request.into_parts();
        self.info(self.client(&headers, &extensions)?, descriptor).await.map(Response::new)
    }

    async fn poll_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        let (headers, extensions, descriptor) = request.into_parts();
        // Rows are made when they are fetched: there is nothing to wait for.
        let info = self.info(self.client(&headers, &extensions)?, descriptor).await?;
        let poll = PollInfo::new().with_info(info).try_with_progress(1.0);
        poll.map(Response::new).map_err(status::internal)
    }

    async fn get_schema(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<SchemaResult>, Status> {
        let (headers, extensions, descriptor) = request.into_parts();
        let client = self.client(&headers, &extensions)?;
        let schema = match command_of(&descriptor)? {
            Command::CommandStatementQuery(command) => {
                no_transaction(command.transaction_id.as_ref())?;
                statements::columns(&client, &command.query).await?
            }
            Command::CommandPreparedStatementQuery(command) => {
                statements::prepared(&self.sessions, &command.prepared_statement_handle)?
                    .1
                    .columns()
            }
            command => metadata::schema(&command)?.ok_or_else(|| unknown(&command))?,
        };
        Ok(Response::new(SchemaResult { schema: encoded(&schema)? }))
    }

    async fn do_get(
        &self,
        request: Request<Ticket>,
    ) -> Result<Response<Self::DoGetStream>, Status> {
        let client = self.client(request.metadata(), request.extensions())?;
        let rows = match command_in(&request.get_ref().ticket)? {
            Command::TicketStatementQuery(ticket) => {
                statements::fetch(&self.sessions, &client, &ticket.statement_handle).await?
            }
            Command::CommandPreparedStatementQuery(command) => {
                let (handle, prepared) =
                    statements::prepared(&self.sessions, &command.prepared_statement_handle)?;
                prepared.fetch(&self.sessions, handle).await?
            }
            command => {
                let error = unknown(&command);
                let rows = metadata::rows(&client, command).await?.ok_or(error)?;
                let schema = rows.schema();
                // These have the types that the protocol gives them.
                Outgoing::new(Shape::new(&schema, true), stream::iter([Ok(rows)]))
            }
        };
        rows.answer()
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        let (headers, extensions, mut messages) = request.into_parts();
        let client = self.client(&headers, &extensions)?;
        let result = match messages.message().await? {
            Some(first) => self.put(client, first, messages).await?,
            // Of a table without batches some clients send nothing at all, and wait to hear
            // how many rows that were.
            None => DoPutUpdateResult { record_count: 0 }.encode_to_vec(),
        };
        let result = PutResult { app_metadata: result.into() };
        Ok(Response::new(Box::pin(stream::iter([Ok(result)]))))
    }

    async fn do_action(
        &self,
        request: Request<Action>,
    ) -> Result<Response<Self::DoActionStream>, Status> {
        let (headers, extensions, action) = request.into_parts();
        let client = self.client(&headers, &extensions)?;
        let results = self.act(&client, &action).await?;
        // Who sets options may want to find them again.
        let cookie = match action.r#type.as_str() {
            SET_SESSION_OPTIONS => self.sessions.offer(&client)?,
            _ => None,
        };
        let results = results.into_iter().map(|body| Ok(arrow_flight::Result::new(body)));
        let mut response: Response<Self::DoActionStream> =
            Response::new(Box::pin(stream::iter(results)));
        if let Some(cookie) = cookie {
            let cookie = cookie.parse().map_err(status::internal)?;
            response.metadata_mut().insert("set-cookie", cookie);
        }
        Ok(response)
    }

    async fn list_actions(
        &self,
        request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        self.client(request.metadata(), request.extensions())?;
        let action = |(name, description): (&str, &str)| {
            Ok(ActionType { r#type: name.to_owned(), description: description.to_owned() })
        };
        Ok(Response::new(Box::pin(stream::iter(ACTIONS.map(action)))))
    }

    async fn do_exchange(
        &self,
        _request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(status::unimplemented("DoExchange"))
    }
}

/// What a descriptor asks for.
fn command_of(descriptor: &FlightDescriptor) -> Result<Command, Status> {
    match descriptor.r#type() {
        DescriptorType::Cmd => command_in(&descriptor.cmd),
        DescriptorType::Path | DescriptorType::Unknown => {
            Err(status::unimplemented("a descriptor that is not a command of Flight SQL"))
        }
    }
}

fn command_in(bytes: &[u8]) -> Result<Command, Status> {
    let any = Any::decode(bytes).map_err(status::malformed)?;
    Command::try_from(any).map_err(status::malformed)
}

fn unknown(command: &Command) -> Status {
    let name = command.type_url().rsplit(['.', '/']).next().unwrap_or_default();
    status::unimplemented(&format!("the command '{name}' here"))
}

/// The handle by which the rows of a ticket are stopped.
fn handle_of(ticket: &[u8]) -> Result<Option<Handle>, Status> {
    Ok(match command_in(ticket)? {
        Command::TicketStatementQuery(ticket) => {
            match StatementTicket::decode(&ticket.statement_handle)? {
                StatementTicket::Query { handle, .. } | StatementTicket::Result { handle, .. } => {
                    Some(handle)
                }
                StatementTicket::Nothing => None,
            }
        }
        Command::CommandPreparedStatementQuery(command) => {
            Handle::of(&command.prepared_statement_handle)
        }
        _ => None,
    })
}

/// The message that an action of Flight SQL has in its body.
fn unpacked<M: ProstMessageExt>(action: &Action) -> Result<M, Status> {
    let any = Any::decode(&*action.body).map_err(status::malformed)?;
    let message = any.unpack().map_err(status::malformed)?;
    message.ok_or_else(|| status::malformed("the action has another message in its body"))
}

/// The message that an action of Flight has in its body.
fn decoded<M: Message + Default>(action: &Action) -> Result<M, Status> {
    M::decode(&*action.body).map_err(status::malformed)
}

fn no_transactions() -> Status {
    status::unimplemented("a transaction of several statements (each statement is one of its own)")
}

fn no_transaction(id: Option<&bytes::Bytes>) -> Result<(), Status> {
    match id {
        Some(id) if !id.is_empty() => Err(no_transactions()),
        _ => Ok(()),
    }
}

fn rows_of(
    incoming: Option<Incoming>,
) -> impl Stream<Item = Result<arrow::array::RecordBatch, Status>> + Send {
    stream::iter(incoming.map(|incoming| incoming.rows)).flatten()
}

async fn ingest(
    client: &Client,
    command: CommandStatementIngest,
    rows: Option<Incoming>,
) -> Result<i64, Status> {
    let Incoming { schema, rows } =
        rows.ok_or_else(|| status::malformed("an ingest has a schema"))?;
    crate::ingest::run(client, command, schema, rows).await
}
