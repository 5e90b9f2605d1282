#include "netboot/boot_scripts.h"

#include <arpa/inet.h>

#include <algorithm>

#include "netboot/boot_values.h"
#include "netboot/dnsmasq.h"

namespace bridgehead::netboot {
namespace {

constexpr std::size_t kLongestCommandLine = 2000;
constexpr int kRetrySeconds = 5;

// Titles and host names go into menus of three languages: nothing that means something in one of them.
Status check_title(std::string_view what, std::string_view text) {
  return check_characters(what, text, " -_.:()+,/@", 64);
}

std::string title_of(const BootChoice& choice) {
  if (choice.discovery) return "Bridgehead: this machine isn't known yet";
  return choice.hostname.empty() ? "Bridgehead" : "Bridgehead: " + choice.hostname;
}

Status check(const BootChoice& choice) {
  if (auto good = check_server(choice.server); !good) return good;
  if (!choice.mac.empty()) {
    if (auto mac = canonical_mac(choice.mac); !mac) return forward(mac);
  }
  if (auto good = check_title("host name", choice.hostname); !good) return good;
  if (choice.entries.empty() || !choice.entries.front().command_line) {
    return fail(ErrorCode::invalid_argument, "a boot script needs an image to boot, with its command line");
  }
  for (const auto& entry : choice.entries) {
    if (auto good = check_title("image name", entry.title); !good) return good;
    if (auto good = check_image_id(entry.image_id); !good) return good;
  }
  if (choice.menu_timeout.count() < 0 || choice.menu_timeout > std::chrono::hours(1)) {
    return fail(ErrorCode::invalid_argument, "the menu's timeout must be between 0 and 3600 seconds");
  }
  return {};
}

class CommandLineBuilder {
 public:
  void add(std::string_view argument) {
    if (!text_.empty()) text_ += ' ';
    text_ += argument;
  }
  void add(std::string_view name, const Result<std::string>& value) {
    if (!value) {
      if (!error_) error_ = value.error();
      return;
    }
    add(fmt::format("{}={}", name, *value));
  }
  void refuse(const Status& status) {
    if (!status && !error_) error_ = status.error();
  }
  Result<std::string> finish() const {
    if (error_) return fail(*error_);
    if (text_.size() > kLongestCommandLine) {
      return fail_with_hint(
          ErrorCode::invalid_argument,
          fmt::format("the kernel's command line has {} bytes; {} are possible", text_.size(), kLongestCommandLine),
          "shorten the profile's arguments");
    }
    return text_;
  }

 private:
  std::string text_;
  std::optional<Error> error_;
};

Result<std::string> checked(Status status, std::string value) {
  if (!status) return forward(status);
  return value;
}

// "802.3ad:<mac>,<mac>"
Status check_bond(const std::string& bond) {
  const auto colon = bond.find(':');
  const auto mode = bond.substr(0, colon);
  if (colon == std::string::npos || mode.empty() ||
      mode.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-") != std::string::npos) {
    return fail(ErrorCode::invalid_argument, "'{}' is no bond: write it as 802.3ad:<mac>,<mac>", printable(bond));
  }
  std::string_view rest = std::string_view(bond).substr(colon + 1);
  for (;;) {
    const auto comma = rest.find(',');
    if (auto mac = canonical_mac(rest.substr(0, comma)); !mac) return forward(mac);
    if (comma == std::string_view::npos) return {};
    rest.remove_prefix(comma + 1);
  }
}

Status check_argument(const std::string& argument) {
  if (argument.empty()) return fail(ErrorCode::invalid_argument, "an empty kernel argument");
  if (argument.starts_with("bh.") && argument != model::kStaticAddress) {
    return fail(ErrorCode::invalid_argument, "the kernel argument '{}' is Bridgehead's own", printable(argument));
  }
  return check_characters("kernel argument", argument, "-_.,:=/@%+~*[]()^!?", 512);
}

std::string image_url(const std::string& server, const std::string& image, std::string_view file) {
  return fmt::format("{}/boot/files/{}/{}", server, image, file);
}

// One argument a quoted word, so that GRUB expands nothing.
std::string grub_quoted(const std::string& line) {
  std::string text = "'";
  for (const char c : line) text += c == ' ' ? std::string("' '") : std::string(1, c);
  return text + "'";
}

}  // namespace

Result<std::string> kernel_command_line(const KernelCommandLine& line) {
  CommandLineBuilder builder;
  builder.add("bh.server", checked(check_server(line.server), line.server));
  if (!line.boot.empty()) {
    const bool good = line.boot.size() == 64 && line.boot.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!good) builder.refuse(fail(ErrorCode::invalid_argument, "a boot's id is 64 hex digits"));
    builder.add("bh.boot=" + line.boot);
  }
  if (!line.mac.empty()) builder.add("bh.mac", canonical_mac(line.mac));
  if (!line.address.empty()) builder.add("bh.address", checked(check_network(line.address), line.address));
  if (!line.gateway.empty()) builder.add("bh.gateway", checked(check_ipv4(line.gateway), line.gateway));
  if (!line.bridge.empty()) builder.add("bh.bridge", checked(check_interface(line.bridge), line.bridge));
  if (line.vlan > 4094) builder.refuse(fail(ErrorCode::invalid_argument, "VLAN {} isn't in 1 to 4094", line.vlan));
  if (line.vlan > 0) builder.add(fmt::format("bh.vlan={}", line.vlan));
  if (!line.bond.empty()) builder.add("bh.bond", checked(check_bond(line.bond), lower_case(line.bond)));
  if (line.wait) builder.add(fmt::format("bh.wait={}", std::clamp<std::int64_t>(line.wait->count(), 1, 3600)));
  if (line.failure) {
    constexpr std::string_view kNames[] = {"retry", "reboot", "shell"};
    builder.add(fmt::format("bh.failure={}", kNames[static_cast<int>(*line.failure)]));
  }
  for (const auto& argument : line.arguments) {
    builder.refuse(check_argument(argument));
    builder.add(argument);
  }
  return builder.finish();
}

// netX is the NIC that iPXE booted from; net0 may be another one. `uristring` percent-encodes what SMBIOS holds.
std::string ipxe_query() { return "mac=${netX/mac}&uuid=${uuid}&serial=${serial:uristring}&arch=${buildarch}"; }

std::string ipxe_first_script(const std::string& server) {
  return fmt::format(R"(#!ipxe
set attempt:int32 0
:ask
chain --replace --autofree {0}/boot/v1/ipxe?{1} ||
inc attempt
echo Bridgehead: no answer from {0}, attempt ${{attempt}}; again in 2 s
sleep 2
goto ask
)",
                     server, ipxe_query());
}

std::string ipxe_wait_script(const std::string& server, const std::string& message, std::chrono::seconds pause) {
  return fmt::format(R"(#!ipxe
echo Bridgehead: {}
sleep {}
:ask
chain --replace --autofree {}/boot/v1/ipxe?{} ||
sleep 2
goto ask
)",
                     menu_text(message), std::max<std::int64_t>(1, pause.count()), server, ipxe_query());
}

Result<std::string> ipxe_script(const BootChoice& choice) {
  if (auto good = check(choice); !good) return forward(good);
  const std::string ask = fmt::format("chain --replace --autofree {}/boot/v1/ipxe?{}", choice.server, ipxe_query());
  std::string script = "#!ipxe\n";
  script += fmt::format("echo {}\n", menu_text(title_of(choice)));
  if (choice.menu_timeout.count() == 0) {
    script += "prompt --timeout 300 Any key shows the menu && goto menu || goto e0\n";
  }
  script += fmt::format(":menu\nmenu {}\nitem --gap -- Images\n", menu_text(title_of(choice)));
  for (std::size_t i = 0; i < choice.entries.size(); ++i) {
    script += fmt::format("item e{} {}\n", i, choice.entries[i].title);
  }
  script += "item --gap -- Other\nitem local Local disk\n";
  if (choice.memtest) script += "item memtest Test of the memory\n";
  script += "item shell iPXE shell\nitem again Ask the server again\n";
  script += choice.menu_timeout.count() == 0 ? std::string("choose --default e0 picked || goto e0\n")
                                             : fmt::format("choose --default e0 --timeout {} picked || goto e0\n",
                                                           std::chrono::milliseconds(choice.menu_timeout).count());
  script += "goto ${picked}\n";
  for (std::size_t i = 0; i < choice.entries.size(); ++i) {
    const auto& entry = choice.entries[i];
    script += fmt::format(":e{}\n", i);
    if (!entry.command_line) {
      script += fmt::format("{}&image={} || goto failed\n", ask, entry.image_id);
      continue;
    }
    const auto line = kernel_command_line(*entry.command_line);
    if (!line) return forward(line);
    // initrd=: UEFI kernels find the initramfs by this name; BIOS ones ignore it.
    script += fmt::format("imgfree\nkernel {} initrd=initramfs.img {} || goto failed\n",
                          image_url(choice.server, entry.image_id, "vmlinuz"), *line);
    script += fmt::format("initrd --name initramfs.img {} || goto failed\nboot || goto failed\n",
                          image_url(choice.server, entry.image_id, "initramfs.img"));
  }
  script += ":local\niseq ${platform} pcbios || exit 0\nsanboot --no-describe --drive 0x80 || goto failed\n";
  if (choice.memtest) {
    script += fmt::format(":memtest\niseq ${{platform}} pcbios || chain {0}{1}memtest.efi || goto failed\n",
                          choice.server, kFirstStagePath);
    script += fmt::format("chain {0}{1}memtest.bin || goto failed\n", choice.server, kFirstStagePath);
  }
  script += ":shell\nshell || goto again\n";
  script += fmt::format(":failed\nimgfree\necho Bridgehead: that failed; asks the server again in {} s\nsleep {}\n",
                        kRetrySeconds, kRetrySeconds);
  script += fmt::format(":again\n{} || goto failed\n", ask);
  return script;
}

Result<std::string> grub_config(const BootChoice& choice) {
  if (auto good = check(choice); !good) return forward(good);
  std::string config =
      fmt::format("# {}\nset timeout={}\nset default=e0\n", menu_text(title_of(choice)), choice.menu_timeout.count());
  if (choice.menu_timeout.count() == 0) config += "set timeout_style=hidden\n";
  for (std::size_t i = 0; i < choice.entries.size(); ++i) {
    const auto& entry = choice.entries[i];
    if (!entry.command_line) continue;
    const auto line = kernel_command_line(*entry.command_line);
    if (!line) return forward(line);
    // GRUB's scripts have no &&.
    config += fmt::format(R"(menuentry '{0}' --id e{1} {{
  echo 'Bridgehead: loads {0}'
  if linux /images/{2}/vmlinuz {3}; then
    if initrd /images/{2}/initramfs.img; then
      boot
    fi
  fi
  echo 'Bridgehead: that failed; starts over in {4} s'
  sleep {4}
  configfile $prefix/grub.cfg
}}
)",
                          entry.title, i, entry.image_id, grub_quoted(*line), kRetrySeconds);
  }
  config += "menuentry 'Local disk' --id local {\n  exit\n}\n";
  if (choice.memtest) config += "menuentry 'Test of the memory' --id memtest {\n  chainloader /memtest.efi\n}\n";
  return config;
}

// The file's name has the MAC with dashes, GRUB's variable has it with colons.
std::string grub_first_config() {
  return R"(regexp --set=1:a --set=2:b --set=3:c --set=4:d --set=5:e --set=6:f '(..):(..):(..):(..):(..):(..)' $net_default_mac
configfile $prefix/grub.cfg-01-$a-$b-$c-$d-$e-$f
configfile $prefix/discovery.cfg
echo 'Bridgehead: nothing to boot; asks again in 10 s'
sleep 10
configfile $prefix/grub.cfg
)";
}

std::string grub_wait_config(const std::string& message, std::chrono::seconds pause) {
  return fmt::format("echo 'Bridgehead: {}'\nsleep {}\nconfigfile $prefix/grub.cfg\n", menu_text(message),
                     std::max<std::int64_t>(1, pause.count()));
}

Result<std::string> pxelinux_config(const BootChoice& choice) {
  if (auto good = check(choice); !good) return forward(good);
  // PROMPT 0 and a TIMEOUT in tenths of a second: the menu with a countdown; menu.c32 shows it as text.
  std::string config;
  if (choice.menu_timeout.count() > 0) {
    config = fmt::format("UI menu.c32\nMENU TITLE {}\nTIMEOUT {}\n", menu_text(title_of(choice)),
                         choice.menu_timeout.count() * 10);
  } else {
    config = fmt::format("SAY {}\nPROMPT 0\n", menu_text(title_of(choice)));
  }
  config += "DEFAULT e0\nONTIMEOUT e0\nONERROR e0\n";
  for (std::size_t i = 0; i < choice.entries.size(); ++i) {
    const auto& entry = choice.entries[i];
    if (!entry.command_line) continue;
    const auto line = kernel_command_line(*entry.command_line);
    if (!line) return forward(line);
    // IPAPPEND 3: ip= and BOOTIF=, what pxelinux got by DHCP.
    config += fmt::format(
        "\nLABEL e{0}\n  MENU LABEL {1}\n  KERNEL /images/{2}/vmlinuz\n  INITRD /images/{2}/initramfs.img\n"
        "  APPEND {3}\n  IPAPPEND 3\n",
        i, entry.title, entry.image_id, *line);
  }
  config += "\nLABEL local\n  MENU LABEL Local disk\n  LOCALBOOT 0\n";
  if (choice.memtest) config += "\nLABEL memtest\n  MENU LABEL Test of the memory\n  KERNEL /memtest.bin\n";
  return config;
}

std::string pxelinux_wait_config(const std::string& message, std::chrono::seconds pause) {
  return fmt::format("SAY Bridgehead: {}\nPROMPT 1\nTIMEOUT {}\nDEFAULT again\nLABEL again\n  COM32 reboot.c32\n",
                     menu_text(message), std::max<std::int64_t>(1, pause.count()) * 10);
}

}  // namespace bridgehead::netboot
