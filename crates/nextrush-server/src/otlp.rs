//! Spans of publications for a collector of OpenTelemetry.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, RwLock};

use bytes::Bytes;
use http::{Request, Response};
use nextrush::limits::Seldom;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use crate::client::{Call, ClientError, ServerUrl, Target};

/// The path of spans below a collector's address (OTLP/HTTP).
const PATH: &str = "/v1/traces";

/// The spans of publications with a `traceparent`, and the way to a collector, once it is known.
///
/// With the feature `otlp` only.
#[derive(Clone, Debug)]
pub struct Spans {
    provider: SdkTracerProvider,
    exporter: Late,
}

impl Spans {
    /// Spans that nobody collects yet.
    #[must_use]
    pub fn new() -> Self {
        let exporter = Late::default();
        let mut resource = Resource::builder();
        let names = ["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"];
        if names.iter().all(|name| std::env::var_os(name).is_none()) {
            resource = resource.with_service_name("nextrush");
        }
        let provider = SdkTracerProvider::builder()
            .with_resource(resource.build())
            .with_batch_exporter(exporter.clone())
            .build();
        Self { provider, exporter }
    }

    /// The layer that makes spans of those of `tracing`, for a filter as [`targets`](Self::targets).
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let tracer = self.provider.tracer("nextrush");
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
    }

    /// The spans and events that are for the collector.
    #[must_use]
    pub fn targets() -> Targets {
        Targets::new()
            .with_target("nextrush_admin", LevelFilter::INFO)
            .with_target("nextrush::publications", LevelFilter::DEBUG)
            .with_target("nextrush::deliveries", LevelFilter::DEBUG)
    }

    /// Sends spans to a collector from now on; the first one that is named counts. The variables of
    /// OpenTelemetry for headers, timeouts and batches hold.
    ///
    /// # Errors
    ///
    /// Fails when one of these variables is wrong.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    pub fn send_to(&self, collector: &ServerUrl) -> Result<(), nextrush::BoxError> {
        let target = collector.at(PATH);
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_endpoint(target.url())
            .with_http_client(Collector {
                runtime: Handle::current(),
                target,
                connection: Arc::new(Mutex::new(Call::new())),
            })
            .build()?;
        self.exporter.set(exporter);
        Ok(())
    }

    /// Sends what is not sent yet, for 5 s at most. No spans are made any more.
    pub async fn finish(&self) {
        let provider = self.provider.clone();
        // It waits for a thread of its own; a failure is told where it happens.
        let _ = tokio::task::spawn_blocking(move || provider.shutdown()).await;
    }
}

impl Default for Spans {
    fn default() -> Self {
        Self::new()
    }
}

/// An exporter that is known only when the configuration has been read, later than the log begins.
#[derive(Clone, Debug, Default)]
struct Late {
    exporter: Arc<OnceLock<opentelemetry_otlp::SpanExporter>>,
    resource: Arc<RwLock<Option<Resource>>>,
}

impl Late {
    fn set(&self, mut exporter: opentelemetry_otlp::SpanExporter) {
        let resource = self.resource.read().expect("no writer panics");
        if let Some(resource) = &*resource {
            exporter.set_resource(resource);
        }
        // The first one counts.
        let _ = self.exporter.set(exporter);
    }
}

impl SpanExporter for Late {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        static FAILING: Seldom = Seldom::new();
        let Some(exporter) = self.exporter.get() else {
            return Ok(());
        };
        let count = batch.len();
        let exported = exporter.export(batch).await;
        if let Err(error) = &exported
            && FAILING.is_due()
        {
            tracing::warn!(spans = count, %error, "the collector did not take spans; they are lost");
        }
        exported
    }

    fn set_resource(&mut self, resource: &Resource) {
        *self.resource.write().expect("no reader panics") = Some(resource.clone());
    }
}

/// The connection to a collector. The exporter has a thread without a runtime of its own.
#[derive(Debug)]
struct Collector {
    runtime: Handle,
    target: Target,
    connection: Arc<Mutex<Call>>,
}

impl HttpClient for Collector {
    fn send_bytes<'life0, 'async_trait>(
        &'life0 self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let (target, connection) = (self.target.clone(), Arc::clone(&self.connection));
        let sent = self.runtime.spawn(async move {
            let (head, body) = request.into_parts();
            let mut connection = connection.lock().await;
            connection.post(&target, head.headers, body).await
        });
        Box::pin(async move {
            match sent.await? {
                Ok(body) => Ok(Response::new(body)),
                // Some are worth another try, which the exporter knows.
                Err(ClientError::Refused { status, body }) => {
                    let mut response = Response::new(Bytes::from(body));
                    *response.status_mut() = status;
                    Ok(response)
                }
                Err(error) => Err(error.into()),
            }
        })
    }
}
