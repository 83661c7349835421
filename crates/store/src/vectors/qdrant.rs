//! The vectors on a Qdrant server, shared by processes.
//!
//! One collection holds the vectors of one model: as codes of eight bits in memory for the search,
//! and in full on the disk for the order of what was found.

use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroUsize,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use qdrant_client::{
    Qdrant as Client, QdrantError,
    qdrant::{
        Condition, CountPointsBuilder, CreateCollectionBuilder, CreateFieldIndexCollectionBuilder,
        DeletePointsBuilder, Distance, FieldType, Filter, GetPointsBuilder, PayloadIncludeSelector,
        PointId, PointStruct, QuantizationSearchParamsBuilder, Query, QueryPointsBuilder,
        ScalarQuantizationBuilder, ScrollPointsBuilder, SearchParamsBuilder, UpsertPointsBuilder,
        Value, VectorInput, VectorParamsBuilder, point_id::PointIdOptions,
        vectors_config::Config as VectorsConfig,
    },
};
use quizmentor_core::QuestionId;
use tokio::sync::Mutex;
use tonic::Code;
use tracing::{Instrument, Span};
use uuid::Uuid;

use super::{
    Hit, Payload, Point, Stored, StoredPage, VectorFilter, Vectors, check_threshold, normalised,
};
use crate::{Error, Result};

/// Longest time for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time to make a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Hits that a search can give at most.
const MOST_HITS: usize = 10_000;
/// Asked for beyond what is wanted, for the server orders equal hits in its own way.
const TIES: usize = 32;
/// What scalar quantisation leaves out at the ends of the range of numbers.
const QUANTILE: f32 = 0.99;
/// Candidates that are scored in full, as a multiple of the hits.
const OVERSAMPLING: f64 = 2.0;
/// How near two similarities are taken for equal when the server compares them.
const TOLERANCE: f32 = 1e-5;
/// Names the points among all UUIDs.
const POINT: Uuid = Uuid::from_u128(0x7c1e_1d0c_05f3_4c34_8a35_9a5f_9fd1_2b60);

/// Fields of the payload.
const QUESTION: &str = "question";
const SUBJECT: &str = "subject";
const SKILL: &str = "skill";
const LEVEL: &str = "level";
const LANGUAGE: &str = "language";
const STATUS: &str = "status";
const DIGEST: &str = "digest";
/// Those that a search can filter by.
const FILTERED: [&str; 5] = [SUBJECT, SKILL, LEVEL, LANGUAGE, STATUS];

/// Vectors in a collection of a Qdrant server. Of equal hits where `limit` cuts, any may come.
pub struct Qdrant {
    client: Client,
    collection: String,
    dimension: usize,
    /// Whether the collection was there when the server was last heard of.
    ready: AtomicBool,
    preparing: Mutex<()>,
}

impl Qdrant {
    /// The vectors of `dimension` numbers in `collection` of the server whose gRPC port is at
    /// `url`. The server need not be there yet; the collection is made when it is first used.
    ///
    /// # Errors
    /// `Invalid` when `url` is none.
    pub fn new(
        url: &str,
        api_key: Option<&str>,
        collection: &str,
        dimension: NonZeroUsize,
    ) -> Result<Self> {
        let client = Client::from_url(url)
            .api_key(api_key)
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .skip_compatibility_check()
            .build()
            .map_err(|error| Error::invalid("vectors URL", error.to_string()))?;
        Ok(Self {
            client,
            collection: collection.to_owned(),
            dimension: dimension.get(),
            ready: AtomicBool::new(false),
            preparing: Mutex::new(()),
        })
    }

    /// The client, once the collection is there.
    async fn client(&self) -> Result<&Client> {
        if !self.ready.load(Ordering::Acquire) {
            let _one_at_a_time = self.preparing.lock().await;
            if !self.ready.load(Ordering::Acquire) {
                self.prepare().await?;
                self.ready.store(true, Ordering::Release);
            }
        }
        Ok(&self.client)
    }

    async fn prepare(&self) -> Result<()> {
        let exists = self.client.collection_exists(&self.collection).await;
        if !exists.map_err(|error| self.error(error))? {
            let vectors = VectorParamsBuilder::new(self.dimension as u64, Distance::Cosine);
            let codes = ScalarQuantizationBuilder::default().quantile(QUANTILE).always_ram(true);
            let create = CreateCollectionBuilder::new(&self.collection)
                .vectors_config(vectors.on_disk(true))
                .quantization_config(codes);
            match self.client.create_collection(create).await {
                Err(error) if code(&error) == Some(Code::AlreadyExists) => {}
                created => drop(created.map_err(|error| self.error(error))?),
            }
        }
        self.check_dimension().await?;
        for field in FILTERED {
            let index =
                CreateFieldIndexCollectionBuilder::new(&self.collection, field, FieldType::Keyword);
            let made = self.client.create_field_index(index.wait(true)).await;
            made.map_err(|error| self.error(error))?;
        }
        Ok(())
    }

    async fn check_dimension(&self) -> Result<()> {
        let info = self.client.collection_info(&self.collection).await;
        let params = info
            .map_err(|error| self.error(error))?
            .result
            .and_then(|info| info.config?.params?.vectors_config?.config);
        match params {
            Some(VectorsConfig::Params(params)) if params.size == self.dimension as u64 => Ok(()),
            other => Err(Error::corrupt(
                format!("collection {}", self.collection),
                format!("not of vectors of {} numbers: {other:?}", self.dimension),
            )),
        }
    }

    /// After any failure the server may be another one, without the collection.
    fn error(&self, error: QdrantError) -> Error {
        self.ready.store(false, Ordering::Release);
        Error::unavailable(format!("collection {} of Qdrant", self.collection), error)
    }

    async fn query(
        &self,
        query: Query,
        filter: Filter,
        threshold: Option<f32>,
        limit: usize,
    ) -> Result<Vec<Hit>> {
        let limit = limit.min(MOST_HITS);
        if limit == 0 {
            return Ok(Vec::new());
        }
        let codes =
            QuantizationSearchParamsBuilder::default().rescore(true).oversampling(OVERSAMPLING);
        let mut request = QueryPointsBuilder::new(&self.collection)
            .query(query)
            .filter(filter)
            .params(SearchParamsBuilder::default().quantization(codes))
            .limit((limit + TIES) as u64)
            .with_payload(PayloadIncludeSelector::from(vec![QUESTION.to_owned()]));
        if let Some(threshold) = threshold {
            request = request.score_threshold(threshold - TOLERANCE);
        }
        let found = self.client().await?.query(request).instrument(span("query")).await;
        let mut hits = found
            .map_err(|error| match code(&error) {
                Some(Code::NotFound) => Error::NotFound("vector"),
                _ => self.error(error),
            })?
            .result
            .into_iter()
            .map(|point| {
                let similarity = point.score.clamp(-1.0, 1.0);
                Ok(Hit { id: question(&point.payload)?, similarity })
            })
            .collect::<Result<Vec<_>>>()?;
        hits.retain(|hit| threshold.is_none_or(|least| hit.similarity >= least));
        let order =
            |a: &Hit, b: &Hit| b.similarity.total_cmp(&a.similarity).then_with(|| a.id.cmp(&b.id));
        hits.sort_unstable_by(order);
        hits.truncate(limit);
        Ok(hits)
    }
}

fn span(operation: &'static str) -> Span {
    tracing::info_span!("qdrant", operation, otel.kind = "client")
}

fn code(error: &QdrantError) -> Option<Code> {
    match error {
        QdrantError::ResponseError { status } => Some(status.code()),
        _ => None,
    }
}

fn point_id(id: &QuestionId) -> PointId {
    Uuid::new_v5(&POINT, id.as_str().as_bytes()).into()
}

fn text<'a>(payload: &'a HashMap<String, Value>, field: &str) -> Result<&'a str> {
    payload
        .get(field)
        .and_then(Value::as_str)
        .map(String::as_str)
        .ok_or_else(|| Error::corrupt("payload of a vector", format!("{field} is missing")))
}

fn question(payload: &HashMap<String, Value>) -> Result<QuestionId> {
    QuestionId::new(text(payload, QUESTION)?).map_err(|e| Error::corrupt("payload of a vector", e))
}

fn stored_as(point: &Point, row: Vec<f32>) -> PointStruct {
    let Payload { skill, level, language, status: state } = &point.payload;
    let fields = [
        (QUESTION, point.id.to_string()),
        (SUBJECT, skill.subject().to_owned()),
        (SKILL, skill.to_string()),
        (LANGUAGE, language.clone()),
        (STATUS, state.name().to_owned()),
        (DIGEST, point.digest().to_string()),
    ];
    let level = level.map(|level| (LEVEL, level.name().to_owned()));
    let payload: HashMap<String, Value> = fields
        .into_iter()
        .chain(level)
        .map(|(field, value)| (field.to_owned(), value.into()))
        .collect();
    PointStruct::new(point_id(&point.id), row, payload)
}

impl From<&VectorFilter> for Filter {
    fn from(filter: &VectorFilter) -> Self {
        let VectorFilter { subject, skill, level, language, status: state } = filter;
        let wanted = [
            (SUBJECT, subject.clone()),
            (SKILL, skill.as_ref().map(ToString::to_string)),
            (LEVEL, level.map(|level| level.name().to_owned())),
            (LANGUAGE, language.clone()),
            (STATUS, state.map(|state| state.name().to_owned())),
        ];
        let conditions =
            wanted.into_iter().filter_map(|(field, value)| Some(Condition::matches(field, value?)));
        Self::must(conditions)
    }
}

#[async_trait]
impl Vectors for Qdrant {
    async fn put(&self, points: &[Point]) -> Result<()> {
        let mut rows = BTreeMap::new();
        for point in points {
            let row = normalised(&point.vector, self.dimension)?;
            rows.insert(&point.id, stored_as(point, row));
        }
        if rows.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = rows.into_values().collect();
        let request = UpsertPointsBuilder::new(&self.collection, rows).wait(true);
        let put = self.client().await?.upsert_points(request).instrument(span("put")).await;
        put.map(drop).map_err(|error| self.error(error))
    }

    async fn remove(&self, ids: &[QuestionId]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let ids: Vec<PointId> = ids.iter().map(point_id).collect();
        let request = DeletePointsBuilder::new(&self.collection).points(ids).wait(true);
        let removed = self.client().await?.delete_points(request).instrument(span("remove")).await;
        removed.map(drop).map_err(|error| self.error(error))
    }

    async fn search(&self, query: &[f32], filter: &VectorFilter, limit: usize) -> Result<Vec<Hit>> {
        let query = Query::new_nearest(normalised(query, self.dimension)?);
        self.query(query, filter.into(), None, limit).await
    }

    async fn near(&self, id: &QuestionId, threshold: f32, limit: usize) -> Result<Vec<Hit>> {
        check_threshold(threshold)?;
        let point = point_id(id);
        let get = GetPointsBuilder::new(&self.collection, vec![point.clone()]);
        let there =
            self.client().await?.get_points(get.with_payload(false)).instrument(span("get")).await;
        if there.map_err(|error| self.error(error))?.result.is_empty() {
            return Err(Error::NotFound("vector"));
        }
        let query = Query::new_nearest(VectorInput::new_id(point));
        self.query(query, Filter::default(), Some(threshold), limit).await
    }

    async fn len(&self) -> Result<usize> {
        let request = CountPointsBuilder::new(&self.collection).exact(true);
        let counted = self.client().await?.count(request).instrument(span("count")).await;
        let counted = counted.map_err(|error| self.error(error))?.result.unwrap_or_default();
        usize::try_from(counted.count).map_err(|error| Error::corrupt("count of vectors", error))
    }

    async fn stored(&self, from: Option<&str>, limit: usize) -> Result<StoredPage> {
        let limit = u32::try_from(limit.max(1)).unwrap_or(u32::MAX);
        let fields = PayloadIncludeSelector::from(vec![QUESTION.to_owned(), DIGEST.to_owned()]);
        let mut request =
            ScrollPointsBuilder::new(&self.collection).limit(limit).with_payload(fields);
        if let Some(from) = from {
            let from: Uuid =
                from.parse().map_err(|_| Error::invalid("from", format!("{from} is no UUID")))?;
            request = request.offset(from);
        }
        let page = self
            .client()
            .await?
            .scroll(request)
            .instrument(span("scroll"))
            .await
            .map_err(|error| self.error(error))?;
        let points = page
            .result
            .iter()
            .map(|point| {
                let digest = text(&point.payload, DIGEST)?;
                let digest = digest.parse().map_err(|e| Error::corrupt("digest of a vector", e))?;
                Ok(Stored { id: question(&point.payload)?, digest })
            })
            .collect::<Result<_>>()?;
        let next = page.next_page_offset.and_then(|next| match next.point_id_options? {
            PointIdOptions::Uuid(next) => Some(next),
            PointIdOptions::Num(_) => None,
        });
        Ok(StoredPage { points, next })
    }
}
