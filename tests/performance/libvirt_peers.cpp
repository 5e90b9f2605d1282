#include "performance/libvirt_peers.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <sstream>

#include <pugixml.hpp>

#include "base/file.h"
#include "base/ids.h"
#include "base/random.h"

namespace bridgehead::performance {
namespace fs = std::filesystem;

namespace {

tl::unexpected<Error> failed(std::string_view what) {
  const auto* error = ::virGetLastError();
  return fail(ErrorCode::io_error, "{}: {}", what,
              error != nullptr && error->message != nullptr ? error->message : "libvirt gave no reason");
}

struct FreeDomain {
  void operator()(virDomainPtr domain) const { ::virDomainFree(domain); }
};
using DomainPtr = std::unique_ptr<virDomain, FreeDomain>;

Result<pugi::xml_document> parse(const std::string& xml) {
  pugi::xml_document document;
  if (!document.load_string(xml.c_str())) return fail(ErrorCode::data_corrupt, "a domain's definition isn't XML");
  return document;
}

}  // namespace

struct LibvirtPeer::State {
  virConnectPtr connection = nullptr;
  int callback = -1;
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, DomainMoments> seen;
  std::jthread loop;

  void note(virDomainPtr domain, int event) {
    const auto now = std::chrono::steady_clock::now();
    const std::lock_guard lock(mutex);
    auto& moments = seen[::virDomainGetName(domain)];
    if (event == VIR_DOMAIN_EVENT_DEFINED && moments.defined == Moment{}) moments.defined = now;
    const bool runs = event == VIR_DOMAIN_EVENT_RESUMED || event == VIR_DOMAIN_EVENT_STARTED;
    if (runs && moments.running == Moment{}) moments.running = now;
    changed.notify_all();
  }
  Result<DomainPtr> find(const std::string& name) const {
    DomainPtr domain(::virDomainLookupByName(connection, name.c_str()));
    if (!domain) return failed("look for " + name);
    return domain;
  }
};

LibvirtPeer::LibvirtPeer() : state_(std::make_unique<State>()) {
  ::virSetErrorFunc(nullptr, [](void*, virErrorPtr) {});
  require(::virInitialize() == 0 && ::virEventRegisterDefaultImpl() == 0, "libvirt can't be set up");
  state_->loop = std::jthread([](std::stop_token stop) {
    while (!stop.stop_requested()) ::virEventRunDefaultImpl();
  });
  state_->connection = ::virConnectOpen("qemu:///system");
  require(state_->connection != nullptr, "libvirtd does not answer at qemu:///system");
  state_->callback = ::virConnectDomainEventRegisterAny(
      state_->connection, nullptr, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
      VIR_DOMAIN_EVENT_CALLBACK(+[](virConnectPtr, virDomainPtr domain, int event, int, void* state) {
        static_cast<State*>(state)->note(domain, event);
      }),
      state_.get(), nullptr);
  require(state_->callback >= 0, "libvirtd gives no events");
}

LibvirtPeer::~LibvirtPeer() {
  ::virConnectDomainEventDeregisterAny(state_->connection, state_->callback);
  ::virConnectClose(state_->connection);
  state_->loop.request_stop();
  const int timer = ::virEventAddTimeout(
      0, [](int, void*) {}, nullptr, nullptr);
  state_->loop.join();
  if (timer >= 0) ::virEventRemoveTimeout(timer);
}

Result<DomainMoments> LibvirtPeer::wait_running(const std::string& name) {
  std::unique_lock lock(state_->mutex);
  const bool runs = state_->changed.wait_for(lock, std::chrono::minutes(1), [&] {
    const auto found = state_->seen.find(name);
    return found != state_->seen.end() && found->second.running != Moment{};
  });
  if (!runs) return fail(ErrorCode::timeout, "{} did not run within a minute", name);
  return state_->seen.at(name);
}

Result<std::string> LibvirtPeer::definition(const std::string& name) {
  const auto domain = state_->find(name);
  if (!domain) return forward(domain);
  char* xml = ::virDomainGetXMLDesc(domain->get(), VIR_DOMAIN_XML_INACTIVE);
  if (xml == nullptr) return failed("read the definition of " + name);
  std::string text = xml;
  std::free(xml);
  return text;
}

Status LibvirtPeer::define(const std::string& xml) {
  const DomainPtr domain(::virDomainDefineXML(state_->connection, xml.c_str()));
  if (!domain) return failed("define");
  return {};
}

Status LibvirtPeer::define_and_create(const std::string& xml) {
  const DomainPtr domain(::virDomainDefineXML(state_->connection, xml.c_str()));
  if (!domain) return failed("define");
  if (::virDomainCreate(domain.get()) != 0) return failed("create");
  return {};
}

Status LibvirtPeer::create(const std::string& name) {
  const auto domain = state_->find(name);
  if (!domain) return forward(domain);
  if (::virDomainCreate(domain->get()) != 0) return failed("create " + name);
  return {};
}

Status LibvirtPeer::remove(const std::string& name) {
  const auto domain = state_->find(name);
  if (!domain) return {};
  if (::virDomainIsActive(domain->get()) == 1 && ::virDomainDestroy(domain->get()) != 0) return failed("destroy");
  if (::virDomainUndefine(domain->get()) != 0) return failed("undefine " + name);
  return {};
}

Result<GuestTemplate> GuestTemplate::take(const std::string& xml, fs::path directory) {
  const auto document = parse(xml);
  if (!document) return forward(document);
  GuestTemplate made;
  made.xml_ = xml;
  made.directory_ = std::move(directory);
  made.virt_type_ = document->child("domain").attribute("type").value();
  for (const auto disk : document->child("domain").child("devices").children("disk")) {
    const fs::path source = disk.child("source").attribute("file").value();
    if (source.empty()) continue;
    made.targets_.emplace_back(disk.child("target").attribute("dev").value());
    if (made.format_.empty()) made.format_ = disk.child("driver").attribute("type").value();
    std::error_code error;
    fs::copy_file(source, made.file_of("template", made.targets_.back()), error);
    if (error) return fail_errno(error.value(), "copy " + source.native());
  }
  if (made.targets_.empty()) return fail(ErrorCode::data_corrupt, "the guest has no disk");
  return made;
}

fs::path GuestTemplate::file_of(const std::string& name, const std::string& target) const {
  return directory_ / fmt::format("{}.{}", name, target);
}

fs::path GuestTemplate::first_disk(const std::string& name) const { return file_of(name, targets_.front()); }

Result<std::string> GuestTemplate::make_ready(const std::string& name) const {
  auto document = parse(xml_);
  if (!document) return forward(document);
  SystemRandom random;
  auto domain = document->child("domain");
  domain.child("name").text().set(name.c_str());
  domain.child("uuid").text().set(make_uuid(random).c_str());
  domain.remove_child("genid");
  domain.prepend_child("genid");
  domain.remove_child("metadata");  // it isn't Bridgehead's
  auto devices = domain.child("devices");
  for (auto disk : devices.children("disk")) {
    const std::string target = disk.child("target").attribute("dev").value();
    if (disk.child("source").attribute("file").empty()) continue;
    const auto file = file_of(name, target);
    std::error_code error;
    fs::copy_file(file_of("template", target), file, fs::copy_options::overwrite_existing, error);
    if (error) return fail_errno(error.value(), "copy to " + file.native());
    disk.child("source").attribute("file").set_value(file.c_str());
  }
  for (auto nic : devices.children("interface")) {
    const auto bits = random.next_u64();
    nic.child("mac").attribute("address").set_value(
        fmt::format("52:54:00:{:02x}:{:02x}:{:02x}", bits & 0xff, bits >> 8 & 0xff, bits >> 16 & 0xff).c_str());
  }
  for (const char* device : {"serial", "console"}) {
    auto log = devices.child(device).child("log").attribute("file");
    if (log) log.set_value(file_of(name, "log").c_str());
  }
  std::ostringstream text;
  document->save(text);
  return text.str();
}

void GuestTemplate::remove_files(const std::string& name) const {
  for (const auto& target : targets_) (void)remove_file(file_of(name, target));
  (void)remove_file(file_of(name, "log"));
}

}  // namespace bridgehead::performance
