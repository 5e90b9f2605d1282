#include "lab/machine.h"

#include <charconv>

#include "lab/names.h"

namespace bridgehead::lab {
namespace {

constexpr unsigned kMostNics = 4;
constexpr unsigned kMostCpus = 64;

Result<unsigned> parse_count(std::string_view what, std::string_view text, unsigned most) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > most) {
    return fail(ErrorCode::invalid_argument, "{} '{}': a number from 1 to {} is wanted", what, text, most);
  }
  return value;
}

// result = *parsed; the error otherwise.
template <typename To, typename T>
Status take(To& result, const Result<T>& parsed) {
  if (!parsed) return forward(parsed);
  result = *parsed;
  return {};
}

Status set_field(MachineWish& wish, std::string_view key, std::string_view value) {
  if (key == "name") return take(wish.name, Result<std::string>(std::string(value)));
  if (key == "firmware") return take(wish.firmware, model::parse_enum<Firmware>(value));
  if (key == "rom") return take(wish.rom, model::parse_enum<NicRom>(value));
  if (key == "nic") return take(wish.nic, model::parse_enum<NicModel>(value));
  if (key == "boot") return take(wish.boot, model::parse_enum<NetworkBoot>(value));
  if (key == "nics") return take(wish.nics, parse_count("nics", value, kMostNics));
  if (key == "cpus") return take(wish.cpus, parse_count("cpus", value, kMostCpus));
  if (key == "memory") return take(wish.memory, parse_bytes(value));
  return fail_with_hint(ErrorCode::invalid_argument, fmt::format("a machine has no '{}'", key),
                        "Use name, firmware, rom, boot, nic, nics, memory and cpus.");
}

// FNV-1a, 64 bits (http://www.isthe.com/chongo/tech/comp/fnv): the same on every machine and in every version.
std::uint64_t stable_hash(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash;
}

// Version 8 of RFC 9562: made by a rule of our own.
std::string uuid_of(std::string_view lab, unsigned number) {
  const auto high = stable_hash(fmt::format("bridgehead-lab/{}/{}/high", lab, number));
  const auto low = stable_hash(fmt::format("bridgehead-lab/{}/{}/low", lab, number));
  return fmt::format("{:08x}-{:04x}-8{:03x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff, high & 0xfff,
                     0x8000U | ((low >> 48) & 0x3fff), low & 0xffffffffffffU);
}

// A comma ends an option of QEMU's; a doubled one doesn't.
std::string escaped(const std::filesystem::path& path) {
  std::string text;
  for (const char c : path.native()) text += c == ',' ? std::string(",,") : std::string(1, c);
  return text;
}

std::string_view device_name(NicModel model) {
  switch (model) {
    case NicModel::virtio: return "virtio-net-pci";
    case NicModel::e1000: return "e1000";
    case NicModel::e1000e: return "e1000e";
  }
  return "virtio-net-pci";
}

using Words = std::vector<std::string>;

void add(Words& words, std::initializer_list<std::string> more) { words.insert(words.end(), more); }

void add_firmware(Words& words, const Machine& machine, const MachineFiles& files) {
  if (machine.firmware == Firmware::bios) return;
  if (machine.firmware == Firmware::uefi_secure) {
    // Only code in system management mode may write the keys; OVMF's build for it needs S3 off.
    add(words, {"-global", "driver=cfi.pflash01,property=secure,value=on", "-global", "ICH9-LPC.disable_s3=1"});
  }
  add(words, {"-drive", fmt::format("if=pflash,unit=0,format=raw,readonly=on,file={}", escaped(files.firmware_code)),
              "-drive", fmt::format("if=pflash,unit=1,format=raw,file={}", escaped(files.firmware_variables))});
  if (machine.boot == NetworkBoot::pxe) return;
  for (const auto* protocol : {"IPv4", "IPv6"}) {
    add(words, {"-fw_cfg", fmt::format("name=opt/org.tianocore/{}PXESupport,string=n", protocol)});
  }
}

void add_nics(Words& words, const Machine& machine) {
  for (std::size_t i = 0; i < machine.macs.size(); ++i) {
    const std::string rom = machine.rom == NicRom::none ? ",romfile=" : "";
    add(words, {"-netdev", fmt::format("tap,id=net{},ifname={},script=no,downscript=no", i, machine.taps[i]), "-device",
                fmt::format("{},netdev=net{},mac={},bootindex={}{}", device_name(machine.nic), i, machine.macs[i],
                            i + 1, rom)});
  }
}

}  // namespace

// 52: locally administered, not multicast.
std::string mac_address(std::string_view lab, unsigned number, unsigned nic) {
  const auto hash = stable_hash(lab);
  return fmt::format("52:54:{:02x}:{:02x}:{:02x}:{:02x}", (hash >> 8) & 0xff, hash & 0xff, number & 0xff, nic);
}

Result<MachineWish> parse_wish(std::string_view text, const MachineWish& defaults) {
  MachineWish wish = defaults;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    const auto field = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    const auto equals = field.find('=');
    if (equals == std::string_view::npos) {
      return fail_with_hint(ErrorCode::invalid_argument, fmt::format("--machine: '{}' is not KEY=VALUE", field),
                            "For example --machine firmware=uefi,rom=none,memory=2GiB.");
    }
    if (auto set = set_field(wish, field.substr(0, equals), field.substr(equals + 1)); !set) return forward(set);
  }
  return wish;
}

Result<Machine> make_machine(std::string_view lab, unsigned number, const MachineWish& wish) {
  if (number > kMostMachines) {
    return fail(ErrorCode::invalid_argument, "a lab has at most {} machines", kMostMachines);
  }
  const auto name = wish.name.empty() ? fmt::format("m{}", number) : wish.name;
  if (auto valid = check_name("machine", name); !valid) return forward(valid);
  if (wish.memory < 128_MiB) {
    return fail(ErrorCode::invalid_argument, "machine {}: {} of memory is too little; firmware alone needs 128 MiB",
                name, wish.memory.human());
  }
  if (wish.cpus < 1 || wish.cpus > kMostCpus || wish.nics < 1 || wish.nics > kMostNics) {
    return fail(ErrorCode::invalid_argument, "machine {}: 1 to {} CPUs and 1 to {} NICs are possible", name, kMostCpus,
                kMostNics);
  }
  const bool own_client = wish.firmware == Firmware::uefi_secure || wish.boot == NetworkBoot::http;
  const auto rom = wish.rom.value_or(own_client ? NicRom::none : NicRom::ipxe);
  if (wish.boot == NetworkBoot::http && (wish.firmware == Firmware::bios || rom == NicRom::ipxe)) {
    return fail_with_hint(ErrorCode::invalid_argument,
                          fmt::format("machine {}: only the UEFI firmware itself boots by HTTP", name),
                          "Use firmware=uefi,boot=http and leave rom out.");
  }
  if (wish.firmware == Firmware::bios && rom == NicRom::none) {
    return fail_with_hint(ErrorCode::invalid_argument,
                          fmt::format("machine {}: a BIOS can't boot from a NIC without a ROM", name),
                          "Use firmware=uefi with rom=none.");
  }
  if (rom == NicRom::none && wish.nic != NicModel::virtio) {
    return fail_with_hint(
        ErrorCode::invalid_argument,
        fmt::format("machine {}: the UEFI firmware has no driver for {}", name, model::to_string(wish.nic)),
        "Use nic=virtio, or rom=ipxe, which brings one.");
  }
  if (wish.firmware == Firmware::uefi_secure && rom == NicRom::ipxe) {
    return fail_with_hint(ErrorCode::invalid_argument,
                          fmt::format("machine {}: Secure Boot refuses QEMU's iPXE ROM, which nobody signed", name),
                          "Leave rom out, or say rom=none.");
  }
  Machine machine{.name = name,
                  .number = number,
                  .firmware = wish.firmware,
                  .rom = rom,
                  .nic = wish.nic,
                  .boot = wish.boot,
                  .memory = wish.memory,
                  .cpus = wish.cpus,
                  .uuid = uuid_of(lab, number),
                  .serial = fmt::format("{}-{}", lab, name)};
  for (unsigned i = 1; i <= wish.nics; ++i) {
    machine.macs.push_back(mac_address(lab, number, i));
    machine.taps.push_back(i == 1 ? fmt::format("tap-{}", name) : fmt::format("tap{}-{}", i, name));
  }
  return machine;
}

Command qemu_command(const Machine& machine, const MachineFiles& files, Accelerator accelerator) {
  const bool secure = machine.firmware == Firmware::uefi_secure;
  Words words{"-name", fmt::format("guest={}", machine.serial), "-nodefaults", "-no-user-config",
              // graphics=off: firmware and iPXE speak to the serial line.
              "-machine", secure ? "q35,graphics=off,smm=on" : "q35,graphics=off", "-accel",
              std::string(model::to_string(accelerator)),
              // Under emulation 5-level paging and SMAP (a sixth of the time: each access to user memory ends a
              // translated block) cost and give nothing.
              "-cpu", "max,la57=off,smap=off", "-smp", std::to_string(machine.cpus), "-m",
              fmt::format("{}M", machine.memory.count() >> 20), "-uuid", machine.uuid, "-smbios",
              fmt::format("type=1,manufacturer=Bridgehead,product=Lab,serial={},uuid={}", machine.serial, machine.uuid),
              "-display", "none", "-vga", "none"};
  // A real machine's BIOS would wait at "no bootable device" for a person; a lab has none.
  if (machine.firmware == Firmware::bios) add(words, {"-boot", "strict=on,reboot-timeout=3000"});
  add_firmware(words, machine, files);
  add_nics(words, machine);
  add(words, {"-object", "rng-random,id=rng0,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng0"});
  // The chipset's watchdog (iTCO_wdt) resets the machine, as a board's does; QEMU's default is that it only counts.
  add(words, {"-global", "ICH9-LPC.noreboot=off", "-action", "watchdog=reset"});
  add(words, {"-chardev",
              fmt::format("socket,id=serial0,path={},server=on,wait=off,logfile={},logappend=on",
                          escaped(files.serial_socket), escaped(files.serial_log)),
              "-serial", "chardev:serial0"});
  add(words, {"-chardev", fmt::format("socket,id=qmp0,path={},server=on,wait=off", escaped(files.qmp_socket)), "-mon",
              "chardev=qmp0,mode=control"});
  add(words, {"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"});
  return Command{.program = std::string(kQemu), .arguments = std::move(words)};
}

}  // namespace bridgehead::lab
