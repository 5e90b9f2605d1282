// A running guest's disk goes into another file, or becomes independent of its golden image; cancelled, failed, and
// with libvirtd killed on the way.
#include "hypervisor/tests/libvirt_test.h"

namespace bridgehead::hypervisor {
namespace {

class DiskJobs : public LibvirtTest {
 protected:
  void SetUp() override {
    LibvirtTest::SetUp();
    // Some content, so that a copy doesn't end at once.
    must_run("qemu-io", {"-f", "qcow2", "-c", "write -P 0x5a 4M 48M", config.disks[0].path.string()});
    configure_and_start();
    ASSERT_TRUE(booted());
  }

  GuestDisk blank(const std::string& name, model::ImageFormat format, const std::string& size = "64M") {
    const auto path = directory / name;
    must_run("qemu-img",
             {"create", "-q", "-f", format == model::ImageFormat::raw ? "raw" : "qcow2", path.string(), size});
    return {.name = "disk0", .path = path, .format = format, .size = 64_MiB, .direct_io = false};
  }

  DiskInUse used() {
    const auto use = hypervisor->disk_in_use(id, "disk0");
    EXPECT_TRUE(use && *use) << (use ? "no disk" : use.error().describe());
    return use && *use ? **use : DiskInUse{};
  }
  Status move(const GuestDisk& to, std::stop_token stop = {}) {
    return hypervisor->move_disk(
        id, to, in_step, [this](const Progress& now) { progress.push_back(now); }, stop);
  }
  std::string stored_definition() { return virsh({"dumpxml", "--inactive", "bh-" + id.str()}); }
  void guest_answers() {
    auto stream = console();
    ASSERT_TRUE(stream);
    ASSERT_TRUE(stream->write("alive"));
    EXPECT_TRUE(hears(*stream, "alive"));
  }
  void expect_content(const std::filesystem::path& path, const std::string& format) {
    ASSERT_TRUE(hypervisor->power_off(id));
    must_run("qemu-io", {"-r", "-f", format, "-c", "read -P 0x5a 4M 48M", path.string()});
    must_run("qemu-io", {"-r", "-f", format, "-c", "read -P 0 56M 8M", path.string()});
  }

  std::function<Status()> in_step = [] { return Status(); };
  std::vector<Progress> progress;
};

TEST_F(DiskJobs, TheGuestGoesOnInTheCopy) {
  const auto old = config.disks[0];
  const auto to = blank("moved.raw", model::ImageFormat::raw);
  int asked = 0;
  in_step = [&]() -> Status {
    ++asked;
    EXPECT_EQ(used().disk.path, old.path) << "not yet";
    EXPECT_EQ(used().copying_to, to.path);
    return {};
  };
  const auto moved = move(to);
  ASSERT_TRUE(moved) << moved.error().describe();
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(used().disk.path, to.path);
  EXPECT_EQ(used().disk.format, model::ImageFormat::raw);
  EXPECT_EQ(used().copying_to, "");
  EXPECT_EQ(used().disk.backing, "") << "the copy needs no golden image";
  EXPECT_TRUE(std::any_of(progress.begin(), progress.end(), [](const auto& p) { return p.total >= 48u << 20; }));
  EXPECT_TRUE(move(to)) << "again is success";
  EXPECT_EQ(asked, 1);
  EXPECT_NE(stored_definition().find(to.path.native()), std::string::npos) << "the definition has it, too";
  ASSERT_TRUE(remove_file(old.path));
  guest_answers();
  config.disks = {to};
  EXPECT_FALSE(configure().restart_required) << "what runs is what is defined";
  expect_content(to.path, "raw");
  EXPECT_TRUE(hypervisor->start(id));
}

TEST_F(DiskJobs, IntoAQcow2File) {
  const auto to = blank("moved.qcow2", model::ImageFormat::qcow2);
  const auto moved = move(to);
  ASSERT_TRUE(moved) << moved.error().describe();
  EXPECT_EQ(used().disk.path, to.path);
  EXPECT_EQ(used().disk.format, model::ImageFormat::qcow2);
  guest_answers();
  expect_content(to.path, "qcow2");
}

TEST_F(DiskJobs, CancelledItGoesOnUntilItIsEnded) {
  const auto old = config.disks[0].path;
  const auto to = blank("moved.raw", model::ImageFormat::raw);
  std::stop_source stop;
  stop.request_stop();
  const auto cancelled = move(to, stop.get_token());
  ASSERT_FALSE(cancelled);
  EXPECT_EQ(cancelled.error().code, ErrorCode::cancelled);
  EXPECT_EQ(used().copying_to, to.path);
  ASSERT_TRUE(hypervisor->end_disk_job(id, "disk0"));
  ASSERT_TRUE(hypervisor->end_disk_job(id, "disk0")) << "none is fine";
  EXPECT_EQ(used().copying_to, "");
  EXPECT_EQ(used().disk.path, old);
  guest_answers();
}

TEST_F(DiskJobs, WhoRefusesAtTheLastMomentKeepsTheOldOne) {
  in_step = []() -> Status { return fail(ErrorCode::io_error, "the new pool hangs"); };
  ASSERT_FALSE(move(blank("moved.raw", model::ImageFormat::raw)));
  ASSERT_TRUE(hypervisor->end_disk_job(id, "disk0"));
  EXPECT_EQ(used().disk.path, config.disks[0].path);
  guest_answers();
}

TEST_F(DiskJobs, NoSpaceLeftIsAnErrorAndTheGuestRunsOn) {
  const auto small = directory / "small";
  ASSERT_TRUE(make_directories(small));
  must_run("mount", {"-t", "tmpfs", "-o", "size=8m", "tmpfs", small.string()});
  auto to = blank("small/moved.raw", model::ImageFormat::raw);
  const auto full = move(to);
  ASSERT_FALSE(full);
  ASSERT_TRUE(hypervisor->end_disk_job(id, "disk0"));
  EXPECT_EQ(used().disk.path, config.disks[0].path);
  guest_answers();
  must_run("umount", {small.string()});
}

// The copy is QEMU's: it lives through the death of libvirtd, and is taken up again.
TEST_F(DiskJobs, LibvirtdKilledOnTheWay) {
  const auto to = blank("moved.raw", model::ImageFormat::raw);
  in_step = [&]() -> Status {
    libvirtd->kill_hard();
    return {};
  };
  const auto lost = move(to);
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, ErrorCode::unavailable) << lost.error().describe();
  const auto ended = hypervisor->end_disk_job(id, "disk0");
  ASSERT_FALSE(ended) << "nobody knows whether it goes on";
  EXPECT_EQ(ended.error().code, ErrorCode::unavailable) << ended.error().describe();
  ASSERT_TRUE(libvirtd->run_again());
  EXPECT_EQ(used().disk.path, config.disks[0].path);
  EXPECT_EQ(used().copying_to, to.path);
  in_step = [] { return Status(); };
  const auto again = move(to);
  ASSERT_TRUE(again) << again.error().describe();
  EXPECT_EQ(used().disk.path, to.path);
  guest_answers();
}

TEST_F(DiskJobs, FlatteningMakesItsGoldenImageSuperfluous) {
  ASSERT_EQ(used().disk.backing, directory / "golden.raw");
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(hypervisor
                ->flatten_disk(
                    id, "disk0", [](const Progress&) {}, stop.get_token())
                .error()
                .code,
            ErrorCode::cancelled);
  const auto flat = hypervisor->flatten_disk(id, "disk0", [](const Progress&) {}, {});
  ASSERT_TRUE(flat) << flat.error().describe();
  EXPECT_TRUE(hypervisor->flatten_disk(id, "disk0", [](const Progress&) {}, {})) << "again is success";
  EXPECT_EQ(used().disk.backing, "");
  EXPECT_EQ(stored_definition().find("golden.raw"), std::string::npos) << "nor is it in the definition";
  ASSERT_TRUE(remove_file(directory / "golden.raw"));
  guest_answers();
  config.disks[0].backing.clear();
  EXPECT_FALSE(configure().restart_required);
  expect_content(config.disks[0].path, "qcow2");
  ASSERT_TRUE(hypervisor->start(id)) << "it starts without";
  guest_answers();
}

TEST_F(DiskJobs, AStoppedGuestsDefinitionNamesAnotherFile) {
  ASSERT_FALSE(hypervisor->use_file(id, config.disks[0])) << "not while it runs";
  ASSERT_TRUE(hypervisor->power_off(id));
  const auto to = directory / "moved.raw";
  must_run("qemu-img", {"convert", "-O", "raw", config.disks[0].path.string(), to.string()});
  const auto used_file = hypervisor->use_file(id, {.name = "disk0", .path = to, .direct_io = false});
  ASSERT_TRUE(used_file) << used_file.error().describe();
  EXPECT_EQ(used().disk.path, to);
  EXPECT_EQ(used().disk.format, model::ImageFormat::raw);
  EXPECT_EQ(hypervisor->get(id)->generation, 1u) << "it is ours as before";
  ASSERT_TRUE(hypervisor->start(id));
  guest_answers();
  EXPECT_FALSE(hypervisor->disk_in_use(id, "disk7")->has_value());
  EXPECT_FALSE(hypervisor->disk_in_use(make_id<model::VmId>(random), "disk0")->has_value());
}

}  // namespace
}  // namespace bridgehead::hypervisor
