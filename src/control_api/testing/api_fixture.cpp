#include "control_api/testing/api_fixture.h"

#include <curl/curl.h>

#include "pki/certificate_authority.h"
#include "pki/tokens.h"
#include "state/memory_store.h"

namespace bridgehead::control_api::testing {
namespace {

std::size_t append(char* data, std::size_t size, std::size_t count, void* target) {
  static_cast<std::string*>(target)->append(data, size * count);
  return size * count;
}

}  // namespace

ApiFixture::ApiFixture()
    : directory(TemporaryDirectory::create("api-test").value()),
      store(state::make_memory_store()),
      inventory(state::Inventory::open(*store, clock).value()),
      commander(new reconcile::Commander{.inventory = *inventory, .random = random, .clock = clock, .use = &use}) {
  // The certificates are real, so their times are too; everything else lives by the manual clock.
  const SystemClock real;
  const auto authority = pki::CertificateAuthority::open(directory.path() / "ca", real, random);
  EXPECT_TRUE(authority);
  const auto identity = (*authority)->issue_server({"localhost"}, {"127.0.0.1"}, std::chrono::hours(1));
  EXPECT_TRUE(identity);
  config.address = "127.0.0.1";
  config.port = 0;
  config.certificate_pem = identity->chain_pem;
  config.private_key_pem = identity->key_pem;
  config.ca_certificate_pem = (*authority)->certificate_pem();
  config.version = "0.0-test";
  config.cluster_id = "test-cluster";
  config.agent_endpoint = "manager.test:7444";
  config.stop_grace = std::chrono::seconds(5);
  admin = make_token("boss", model::Role::admin);
  operator_ = make_token("worker", model::Role::operator_);
  viewer = make_token("watcher", model::Role::viewer);
  curl_ = curl_easy_init();
}

ApiFixture::~ApiFixture() {
  if (server) server->stop();
  curl_easy_cleanup(curl_);
}

void ApiFixture::start_server() {
  server = std::make_unique<Server>(config, ServerDependencies{.commander = *commander,
                                                               .agents = agents,
                                                               .tunnels = tunnels,
                                                               .progress = progress,
                                                               .reconcile_metrics = metrics,
                                                               .netboot = boots_machines ? &netboot : nullptr,
                                                               .secrets = secret_box.get(),
                                                               .power = &power,
                                                               .availability = &availability,
                                                               .energy = &energy,
                                                               .upgrades = &upgrades});
  const auto started = server->start();
  ASSERT_TRUE(started) << started.error().describe();
}

HttpAnswer ApiFixture::send(const HttpRequest& request) {
  HttpAnswer answer;
  CURL* curl = curl_;
  curl_easy_reset(curl);  // keeps the connection
  const std::string url = fmt::format("https://localhost:{}{}", server->port(), request.path);
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
  const curl_blob ca{config.ca_certificate_pem.data(), config.ca_certificate_pem.size(), CURL_BLOB_NOCOPY};
  curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &ca);
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  if (request.method == "HEAD") curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, append);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer.body);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, append);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &answer.headers);
  if (!request.body.empty()) {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.c_str());
  }
  curl_slist* headers = curl_slist_append(nullptr, "Content-Type: application/json");
  const std::string& token = request.token.empty() ? admin : request.token;
  if (token != "-") headers = curl_slist_append(headers, ("Authorization: Bearer " + token).c_str());
  for (const auto& header : request.headers) headers = curl_slist_append(headers, header.c_str());
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  const CURLcode code = curl_easy_perform(curl);
  EXPECT_EQ(code, CURLE_OK) << request.method << " " << request.path << ": " << curl_easy_strerror(code);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
  const char* type = nullptr;
  curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
  if (type != nullptr) answer.content_type = type;
  curl_slist_free_all(headers);
  return answer;
}

std::string ApiFixture::make_token(const std::string& name, model::Role role, std::optional<Timestamp> expires) {
  model::Token token;
  token.id = make_id<model::TokenId>(random);
  token.name = name;
  token.role = role;
  token.created = clock.now();
  token.expires = expires;
  const std::string secret = pki::make_secret(random);
  token.secret_sha256 = pki::sha256_hex(secret);
  commit([&](state::Edit& edit) { edit.create(token); });
  return pki::format_access_token(token.id, secret);
}

void ApiFixture::fill_cluster() {
  node.id = make_id<model::NodeId>(random);
  node.name = "node1";
  node.facts.hostname = "node1";
  node.facts.cpus = 8;
  node.facts.memory = 64_GiB;
  node.created = clock.now();
  pool.id = make_id<model::PoolId>(random);
  pool.name = "local";
  pool.path = "/var/lib/bridgehead/pool";
  pool.created = clock.now();
  pool.nodes[node.id] = {.ready = true, .total = 100_GiB, .available = 90_GiB};
  golden.id = make_id<model::ImageId>(random);
  golden.name = "debian-12";
  golden.pool = pool.id;
  golden.node = node.id;
  golden.state = model::ImageState::ready;
  golden.virtual_size = 2_GiB;
  golden.source = "https://someone:secret@images.test/debian.qcow2";
  golden.created = clock.now();
  network.id = make_id<model::NetworkId>(random);
  network.name = "default";
  network.subnet = "192.168.120.0/24";
  network.created = clock.now();
  commit([&](state::Edit& edit) {
    edit.create(node).create(pool).create(golden).create(network);
    edit.event({.kind = "node.joined",
                .object_kind = "node",
                .object = node.id.str(),
                .object_name = node.name,
                .message = "node1 has joined",
                .actor = "manager"});
  });
  inventory->note_node_state(node.id, model::NodeState::ready, "");
}

model::Vm ApiFixture::make_vm(const std::string& name, bool running) {
  model::Vm vm;
  vm.id = make_id<model::VmId>(random);
  vm.name = name;
  vm.node = node.id;
  vm.created = clock.now();
  vm.spec.memory = 1_GiB;
  vm.spec.max_memory = 4_GiB;
  vm.spec.max_cpus = 4;
  vm.spec.power = running ? model::PowerState::running : model::PowerState::stopped;
  vm.spec.cloud_init.password_hash = "$6$salt$hash";
  model::Image disk;
  disk.id = make_id<model::ImageId>(random);
  disk.name = name + "-disk0";
  disk.role = model::ImageRole::disk;
  disk.pool = pool.id;
  disk.node = node.id;
  disk.state = model::ImageState::ready;
  disk.virtual_size = 2_GiB;
  disk.parent = golden.id;
  disk.vm = vm.id;
  disk.created = clock.now();
  vm.spec.disks.push_back({"disk0", disk.id, 2_GiB});
  vm.spec.nics.push_back({"nic0", network.id, "52:b4:9d:00:00:77", {}});
  model::VmStatus status;
  status.phase = running ? model::VmPhase::running : model::VmPhase::stopped;
  status.observed_generation = 1;
  status.ip_addresses = {"192.168.120.7"};
  status.since = clock.now();
  commit([&](state::Edit& edit) { edit.create(vm).create(disk); });
  commit([&](state::Edit& edit) { edit.set_status(vm.id, status); });
  return vm;
}

void ApiFixture::finish_operation(const std::string& id, model::OperationState state) {
  const auto record = inventory->find<model::Operation>(model::OperationId(id));
  ASSERT_TRUE(record);
  auto operation = record->value;
  operation.state = state;
  operation.finished = clock.now();
  commit([&](state::Edit& edit) {
    edit.update(record, operation);
    edit.event({.kind = "operation.finished",
                .object_kind = "operation",
                .object = id,
                .object_name = operation.target_name,
                .message = "done",
                .actor = "manager"});
  });
}

model::Operation ApiFixture::make_upload_operation() {
  model::Operation operation;
  operation.id = make_id<model::OperationId>(random);
  operation.kind = model::operation_kind::image_import;
  operation.target_kind = "image";
  operation.target = golden.id.str();
  operation.target_name = golden.name;
  operation.state = model::OperationState::running;
  operation.node = node.id;
  operation.parameters = {{"source", {{"kind", "upload"}, {"location", "x.raw"}, {"size", 0}}}};
  operation.created = clock.now();
  commit([&](state::Edit& edit) { edit.create(operation); });
  return operation;
}

model::Node ApiFixture::make_netboot_node(const std::string& name, model::Approval approval, const std::string& image) {
  const auto number = inventory->all<model::Node>().size();
  model::Node made;
  made.id = make_id<model::NodeId>(random);
  made.name = name;
  made.created = clock.now();
  made.netboot = model::Netboot{.mac = fmt::format("52:54:00:00:00:{:02x}", number),
                                .uuid = fmt::format("11111111-2222-3333-4444-{:012}", number),
                                .serial = fmt::format("SN{}", number),
                                .address = {},
                                .approval = approval,
                                .image = image,
                                .profile = {},
                                .hardware = {.vendor = "QEMU", .product = "Standard PC"}};
  commit([&](state::Edit& edit) { edit.create(made); });
  return made;
}

void ApiFixture::make_boot(const model::Node& of, const std::vector<model::BootStep>& steps,
                           const std::string& message) {
  model::Boot boot;
  boot.id = of.id;
  boot.token_sha256 = pki::sha256_hex("boot of " + of.name);
  boot.image = of.netboot->image;
  boot.log = {"loading virtio_net", "br0 has 10.20.0.101"};
  auto time = clock.now() - std::chrono::seconds(steps.size());
  boot.started = time;
  for (const auto step : steps) boot.events.push_back({step, "", time += std::chrono::seconds(1)});
  boot.events.back().message = message;
  commit([&](state::Edit& edit) {
    if (const auto before = inventory->find<model::Boot>(boot.id)) {
      edit.update(before, boot);
    } else {
      edit.create(boot);
    }
  });
}

model::NodeImage ApiFixture::make_node_image(const std::string& base, std::uint32_t version,
                                             model::NodeImageState state) {
  model::NodeImage image;
  image.id = make_id<model::NodeImageId>(random);
  image.name = fmt::format("{}:{}", base, version);
  image.base = base;
  image.version = version;
  image.role = "compute";
  image.source = "recipe " + base;
  image.state = state;
  image.transports = {model::RootTransport::nbd, model::RootTransport::ram};
  image.root_size = 200_MiB;
  image.created = clock.now();
  commit([&](state::Edit& edit) { edit.create(image); });
  return image;
}

}  // namespace bridgehead::control_api::testing
