//! A server that speaks Qdrant's protocol by the definitions that its client publishes, and keeps
//! what it is told in memory.
//!
//! What QuizMentor does not use it refuses, and so it does with what a real server would not take.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard},
};

use ::qdrant_client::qdrant::{
    collections_server::{Collections, CollectionsServer},
    condition::ConditionOneOf,
    r#match::MatchValue,
    point_id::PointIdOptions,
    points_selector::PointsSelectorOneOf,
    points_server::{Points, PointsServer},
    quantization_config::Quantization,
    query::Variant,
    value::Kind,
    vector, vector_input,
    vectors::VectorsOptions,
    vectors_config::Config,
    with_payload_selector::SelectorOptions,
    *,
};
use tonic::{Request, Response, Status, transport::server::TcpIncoming};

type Reply<T> = Result<Response<T>, Status>;

/// The server's state; clones share it.
#[derive(Clone, Default)]
pub(super) struct Fake(Arc<Mutex<HashMap<String, Collection>>>);

struct Collection {
    created: CreateCollection,
    indexed: Vec<String>,
    points: BTreeMap<String, Stored>,
}

struct Stored {
    vector: Vec<f32>,
    payload: HashMap<String, Value>,
}

impl Fake {
    /// Serves at a free port until the test ends, and returns the URL.
    pub(super) async fn serve(&self) -> String {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let url = format!("http://{}", incoming.local_addr().unwrap());
        let router = tonic::transport::Server::builder()
            .add_service(CollectionsServer::new(self.clone()))
            .add_service(PointsServer::new(self.clone()));
        tokio::spawn(router.serve_with_incoming(incoming));
        url
    }

    /// Forgets all, as a server on a new disk.
    pub(super) fn clear(&self) {
        self.collections().clear();
    }

    /// How the collection was created, and the fields that are indexed.
    pub(super) fn created(&self, name: &str) -> (CreateCollection, Vec<String>) {
        let collections = self.collections();
        let collection = &collections[name];
        (collection.created.clone(), collection.indexed.clone())
    }

    fn collections(&self) -> MutexGuard<'_, HashMap<String, Collection>> {
        self.0.lock().unwrap()
    }

    fn with<T>(
        &self,
        name: &str,
        work: impl FnOnce(&mut Collection) -> Result<T, Status>,
    ) -> Reply<T> {
        let mut collections = self.collections();
        let absent = || Status::not_found(format!("Collection `{name}` doesn't exist!"));
        work(collections.get_mut(name).ok_or_else(absent)?).map(Response::new)
    }
}

/// A service of the protocol: the methods in braces, and those that are refused.
macro_rules! service {
    ($service:ident { $($own:tt)* } refused { $($method:ident($request:ty) -> $reply:ty;)* }) => {
        #[tonic::async_trait]
        impl $service for Fake {
            $($own)*
            $(async fn $method(&self, _: Request<$request>) -> Reply<$reply> {
                Err(Status::unimplemented(stringify!($method)))
            })*
        }
    };
}

service!(Collections {
    async fn get(
        &self,
        request: Request<GetCollectionInfoRequest>,
    ) -> Reply<GetCollectionInfoResponse> {
        self.with(&request.get_ref().collection_name, |collection| {
            let params = CollectionParams {
                vectors_config: collection.created.vectors_config.clone(),
                ..CollectionParams::default()
            };
            let config = CollectionConfig { params: Some(params), ..CollectionConfig::default() };
            let info = CollectionInfo { config: Some(config), ..CollectionInfo::default() };
            Ok(GetCollectionInfoResponse { result: Some(info), time: 0.0 })
        })
    }

    async fn create(&self, request: Request<CreateCollection>) -> Reply<CollectionOperationResponse> {
        let created = request.into_inner();
        dimension(&created)?;
        let mut collections = self.collections();
        if collections.contains_key(&created.collection_name) {
            let name = created.collection_name;
            return Err(Status::already_exists(format!("Collection `{name}` already exists!")));
        }
        let name = created.collection_name.clone();
        let collection = Collection { created, indexed: Vec::new(), points: BTreeMap::new() };
        collections.insert(name, collection);
        Ok(Response::new(CollectionOperationResponse { result: true, time: 0.0 }))
    }

    async fn collection_exists(
        &self,
        request: Request<CollectionExistsRequest>,
    ) -> Reply<CollectionExistsResponse> {
        let exists = self.collections().contains_key(&request.get_ref().collection_name);
        let result = Some(CollectionExists { exists });
        Ok(Response::new(CollectionExistsResponse { result, time: 0.0 }))
    }
} refused {
        list(ListCollectionsRequest) -> ListCollectionsResponse;
        update(UpdateCollection) -> CollectionOperationResponse;
        delete(DeleteCollection) -> CollectionOperationResponse;
        update_aliases(ChangeAliases) -> CollectionOperationResponse;
        list_collection_aliases(ListCollectionAliasesRequest) -> ListAliasesResponse;
        list_aliases(ListAliasesRequest) -> ListAliasesResponse;
        collection_cluster_info(CollectionClusterInfoRequest) -> CollectionClusterInfoResponse;
        update_collection_cluster_setup(UpdateCollectionClusterSetupRequest) -> UpdateCollectionClusterSetupResponse;
        create_shard_key(CreateShardKeyRequest) -> CreateShardKeyResponse;
        delete_shard_key(DeleteShardKeyRequest) -> DeleteShardKeyResponse;
        list_shard_keys(ListShardKeysRequest) -> ListShardKeysResponse;
});

service!(Points {
    async fn upsert(&self, request: Request<UpsertPoints>) -> Reply<PointsOperationResponse> {
        let request = request.into_inner();
        self.with(&request.collection_name, |collection| {
            let dimension = dimension(&collection.created)?;
            let mut points = Vec::new();
            for point in request.points {
                let vector = dense(point.vectors)?;
                if vector.len() != dimension {
                    return Err(Status::invalid_argument("Wrong input: Vector dimension error"));
                }
                points.push((uuid(point.id)?, Stored { vector, payload: point.payload }));
            }
            collection.points.extend(points);
            Ok(done())
        })
    }

    async fn delete(&self, request: Request<DeletePoints>) -> Reply<PointsOperationResponse> {
        let request = request.into_inner();
        self.with(&request.collection_name, |collection| {
            let selected = request.points.and_then(|points| points.points_selector_one_of);
            let Some(PointsSelectorOneOf::Points(list)) = selected else {
                return Err(Status::unimplemented("deletion by filter"));
            };
            for id in list.ids {
                collection.points.remove(&uuid(Some(id))?);
            }
            Ok(done())
        })
    }

    async fn get(&self, request: Request<GetPoints>) -> Reply<GetResponse> {
        let request = request.into_inner();
        self.with(&request.collection_name, |collection| {
            let mut result = Vec::new();
            for id in request.ids {
                let id = uuid(Some(id))?;
                if let Some(stored) = collection.points.get(&id) {
                    result.push(retrieved(&id, stored, request.with_payload.as_ref())?);
                }
            }
            Ok(GetResponse { result, ..GetResponse::default() })
        })
    }

    async fn create_field_index(
        &self,
        request: Request<CreateFieldIndexCollection>,
    ) -> Reply<PointsOperationResponse> {
        let request = request.into_inner();
        self.with(&request.collection_name, |collection| {
            if !collection.indexed.contains(&request.field_name) {
                collection.indexed.push(request.field_name);
            }
            Ok(done())
        })
    }

    async fn scroll(&self, request: Request<ScrollPoints>) -> Reply<ScrollResponse> {
        let request = request.into_inner();
        let from = request.offset.map(|id| uuid(Some(id))).transpose()?.unwrap_or_default();
        let limit = request.limit.unwrap_or(10) as usize;
        if limit == 0 {
            return Err(Status::invalid_argument("limit must be at least 1"));
        }
        self.with(&request.collection_name, |collection| {
            let mut rest = collection.points.range(from..);
            let result = rest
                .by_ref()
                .take(limit)
                .map(|(id, stored)| retrieved(id, stored, request.with_payload.as_ref()))
                .collect::<Result<_, _>>()?;
            let next_page_offset = rest.next().map(|(id, _)| PointId::from(id.as_str()));
            Ok(ScrollResponse { result, next_page_offset, ..ScrollResponse::default() })
        })
    }

    async fn count(&self, request: Request<CountPoints>) -> Reply<CountResponse> {
        let request = request.into_inner();
        self.with(&request.collection_name, |collection| {
            let result = Some(CountResult { count: collection.points.len() as u64 });
            Ok(CountResponse { result, ..CountResponse::default() })
        })
    }

    async fn query(&self, request: Request<QueryPoints>) -> Reply<QueryResponse> {
        let request = request.into_inner();
        self.with(&request.collection_name, |collection| {
            let (query, itself) = collection.nearest_to(request.query)?;
            let conditions = conditions(request.filter)?;
            let mut found = Vec::new();
            for (id, stored) in &collection.points {
                let wanted = conditions.iter().all(|(field, value)| {
                    collection.indexed.contains(field)
                        && stored.payload.get(field).and_then(Value::as_str) == Some(value)
                });
                let score = cosine(&query, &stored.vector);
                let near = request.score_threshold.is_none_or(|least| score > least);
                if wanted && near && itself.as_ref() != Some(id) {
                    let point = retrieved(id, stored, request.with_payload.as_ref())?;
                    let (id, payload) = (point.id, point.payload);
                    found.push(ScoredPoint { id, payload, score, ..ScoredPoint::default() });
                }
            }
            found.sort_by(|a, b| b.score.total_cmp(&a.score));
            found.truncate(request.limit.unwrap_or(10) as usize);
            Ok(QueryResponse { result: found, ..QueryResponse::default() })
        })
    }
} refused {
        update_vectors(UpdatePointVectors) -> PointsOperationResponse;
        delete_vectors(DeletePointVectors) -> PointsOperationResponse;
        set_payload(SetPayloadPoints) -> PointsOperationResponse;
        overwrite_payload(SetPayloadPoints) -> PointsOperationResponse;
        delete_payload(DeletePayloadPoints) -> PointsOperationResponse;
        clear_payload(ClearPayloadPoints) -> PointsOperationResponse;
        delete_field_index(DeleteFieldIndexCollection) -> PointsOperationResponse;
        create_vector_name(CreateVectorNameRequest) -> PointsOperationResponse;
        delete_vector_name(DeleteVectorNameRequest) -> PointsOperationResponse;
        search(SearchPoints) -> SearchResponse;
        search_batch(SearchBatchPoints) -> SearchBatchResponse;
        search_groups(SearchPointGroups) -> SearchGroupsResponse;
        recommend(RecommendPoints) -> RecommendResponse;
        recommend_batch(RecommendBatchPoints) -> RecommendBatchResponse;
        recommend_groups(RecommendPointGroups) -> RecommendGroupsResponse;
        discover(DiscoverPoints) -> DiscoverResponse;
        discover_batch(DiscoverBatchPoints) -> DiscoverBatchResponse;
        update_batch(UpdateBatchPoints) -> UpdateBatchResponse;
        query_batch(QueryBatchPoints) -> QueryBatchResponse;
        query_groups(QueryPointGroups) -> QueryGroupsResponse;
        facet(FacetCounts) -> FacetResponse;
        search_matrix_pairs(SearchMatrixPoints) -> SearchMatrixPairsResponse;
        search_matrix_offsets(SearchMatrixPoints) -> SearchMatrixOffsetsResponse;
});

impl Collection {
    /// The vector that a query asks for, and the point that it belongs to.
    fn nearest_to(&self, query: Option<Query>) -> Result<(Vec<f32>, Option<String>), Status> {
        let Some(Variant::Nearest(input)) = query.and_then(|query| query.variant) else {
            return Err(Status::unimplemented("queries other than for the nearest"));
        };
        match input.variant {
            Some(vector_input::Variant::Dense(dense)) => Ok((dense.data, None)),
            Some(vector_input::Variant::Id(id)) => {
                let id = uuid(Some(id))?;
                let absent =
                    || Status::not_found(format!("Not found: No point with id {id} found"));
                let stored = self.points.get(&id).ok_or_else(absent)?;
                Ok((stored.vector.clone(), Some(id)))
            }
            other => Err(Status::unimplemented(format!("{other:?}"))),
        }
    }
}

/// Vectors are compared by cosine, kept in full on the disk, and coded in memory: this is how a
/// collection is to be made.
fn dimension(created: &CreateCollection) -> Result<usize, Status> {
    let vectors = created.vectors_config.as_ref().and_then(|vectors| vectors.config.as_ref());
    let Some(Config::Params(vectors)) = vectors else {
        return Err(Status::unimplemented("named vectors"));
    };
    let codes =
        created.quantization_config.as_ref().and_then(|config| config.quantization.as_ref());
    let Some(Quantization::Scalar(codes)) = codes else {
        return Err(Status::unimplemented("other than scalar quantisation"));
    };
    #[expect(deprecated, reason = "servers older than the client know these fields alone")]
    let as_agreed = vectors.distance() == Distance::Cosine
        && vectors.on_disk == Some(true)
        && codes.r#type() == QuantizationType::Int8
        && codes.always_ram == Some(true);
    if as_agreed {
        Ok(vectors.size as usize)
    } else {
        Err(Status::invalid_argument(format!("{vectors:?} {codes:?}")))
    }
}

fn uuid(id: Option<PointId>) -> Result<String, Status> {
    match id.and_then(|id| id.point_id_options) {
        Some(PointIdOptions::Uuid(id)) if uuid::Uuid::parse_str(&id).is_ok() => Ok(id),
        other => Err(Status::invalid_argument(format!("Unable to parse UUID: {other:?}"))),
    }
}

fn dense(vectors: Option<Vectors>) -> Result<Vec<f32>, Status> {
    let Some(VectorsOptions::Vector(vector)) = vectors.and_then(|vectors| vectors.vectors_options)
    else {
        return Err(Status::invalid_argument("Expected some vectors"));
    };
    match vector.vector {
        Some(vector::Vector::Dense(dense)) => Ok(dense.data),
        other => Err(Status::unimplemented(format!("{other:?}"))),
    }
}

fn conditions(filter: Option<Filter>) -> Result<Vec<(String, String)>, Status> {
    let Some(filter) = filter else { return Ok(Vec::new()) };
    if !filter.should.is_empty() || !filter.must_not.is_empty() || filter.min_should.is_some() {
        return Err(Status::unimplemented("other than `must`"));
    }
    let keyword = |condition: Condition| {
        let Some(ConditionOneOf::Field(field)) = condition.condition_one_of else { return None };
        match field.r#match?.match_value? {
            MatchValue::Keyword(value) => Some((field.key, value)),
            _ => None,
        }
    };
    let unknown = || Status::unimplemented("conditions other than keywords");
    filter.must.into_iter().map(|condition| keyword(condition).ok_or_else(unknown)).collect()
}

fn retrieved(
    id: &str,
    stored: &Stored,
    with: Option<&WithPayloadSelector>,
) -> Result<RetrievedPoint, Status> {
    let payload = match with.and_then(|with| with.selector_options.as_ref()) {
        None | Some(SelectorOptions::Enable(false)) => HashMap::new(),
        Some(SelectorOptions::Include(include)) => {
            let wanted = |field: &String| include.fields.contains(field);
            let kept = stored.payload.iter().filter(|(field, _)| wanted(field));
            kept.map(|(field, value)| (field.clone(), value.clone())).collect()
        }
        other => return Err(Status::unimplemented(format!("{other:?}"))),
    };
    if payload.values().any(|value| !matches!(value.kind, Some(Kind::StringValue(_)))) {
        return Err(Status::unimplemented("payload other than text"));
    }
    Ok(RetrievedPoint { id: Some(id.into()), payload, ..RetrievedPoint::default() })
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
    };
    (dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()) as f32
}

fn done() -> PointsOperationResponse {
    let status = UpdateStatus::Completed.into();
    let result = UpdateResult { status, ..UpdateResult::default() };
    PointsOperationResponse { result: Some(result), ..PointsOperationResponse::default() }
}
