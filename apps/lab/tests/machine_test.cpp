#include "lab/machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace bridgehead::lab {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

const MachineFiles kFiles{.serial_socket = "/l/m1/serial.sock",
                          .serial_log = "/l/m1/serial.log",
                          .qmp_socket = "/l/m1/qmp.sock",
                          .firmware_code = "/fw/code.fd",
                          .firmware_variables = "/l/m1/firmware.vars"};

Machine machine(const MachineWish& wish, std::string_view lab = "lab1", unsigned number = 1) {
  auto made = make_machine(lab, number, wish);
  EXPECT_TRUE(made) << made.error().describe();
  return made.value_or(Machine{});
}

// The argument after an option; every one of them joined if it comes several times.
std::string values_of(const Command& command, const std::string& option) {
  std::string values;
  for (std::size_t i = 0; i + 1 < command.arguments.size(); ++i) {
    if (command.arguments[i] == option) values += command.arguments[i + 1] + "\n";
  }
  return values;
}

TEST(Machine, BiosBootsFromTheRomOfItsFirstNic) {
  const auto value = machine({.nics = 2, .memory = 2_GiB, .cpus = 2});
  const auto command = qemu_command(value, kFiles, Accelerator::tcg);
  EXPECT_EQ(command.program, "qemu-system-x86_64");
  EXPECT_EQ(values_of(command, "-machine"), "q35,graphics=off\n");
  EXPECT_EQ(values_of(command, "-accel"), "tcg\n");
  EXPECT_EQ(values_of(command, "-cpu"), "max,la57=off,smap=off\n");
  EXPECT_EQ(values_of(command, "-m"), "2048M\n");
  EXPECT_EQ(values_of(command, "-smp"), "2\n");
  EXPECT_EQ(values_of(command, "-uuid"), value.uuid + "\n");
  EXPECT_THAT(values_of(command, "-smbios"), HasSubstr("serial=lab1-m1,uuid=" + value.uuid));
  EXPECT_THAT(values_of(command, "-netdev"), HasSubstr("tap,id=net0,ifname=tap-m1,script=no,downscript=no\n"
                                                       "tap,id=net1,ifname=tap2-m1,script=no,downscript=no\n"));
  EXPECT_THAT(command.arguments, Contains("virtio-net-pci,netdev=net0,mac=" + value.macs[0] + ",bootindex=1"));
  EXPECT_THAT(command.arguments, Contains("virtio-net-pci,netdev=net1,mac=" + value.macs[1] + ",bootindex=2"));
  EXPECT_THAT(command.arguments, Contains("virtio-rng-pci,rng=rng0"));
  EXPECT_EQ(values_of(command, "-global"), "ICH9-LPC.noreboot=off\n");
  EXPECT_EQ(values_of(command, "-action"), "watchdog=reset\n");
  EXPECT_EQ(values_of(command, "-drive"), "");
}

TEST(Machine, SerialLineAndControlAreSocketsAndTheLogIsKept) {
  const auto command = qemu_command(machine({}), kFiles, Accelerator::kvm);
  EXPECT_EQ(values_of(command, "-accel"), "kvm\n");
  EXPECT_THAT(values_of(command, "-chardev"), HasSubstr("socket,id=serial0,path=/l/m1/serial.sock,server=on,wait=off,"
                                                        "logfile=/l/m1/serial.log,logappend=on\n"));
  EXPECT_EQ(values_of(command, "-serial"), "chardev:serial0\n");
  EXPECT_THAT(values_of(command, "-chardev"), HasSubstr("socket,id=qmp0,path=/l/m1/qmp.sock,server=on,wait=off\n"));
  EXPECT_EQ(values_of(command, "-mon"), "chardev=qmp0,mode=control\n");
  EXPECT_THAT(command.arguments, Not(Contains("-daemonize")));  // its number must be known before it runs
}

TEST(Machine, UefiWithoutARomUsesTheFirmwaresOwnClient) {
  const auto value = machine({.firmware = Firmware::uefi, .rom = NicRom::none});
  const auto command = qemu_command(value, kFiles, Accelerator::tcg);
  EXPECT_THAT(command.arguments, Contains("virtio-net-pci,netdev=net0,mac=" + value.macs[0] + ",bootindex=1,romfile="));
  EXPECT_EQ(values_of(command, "-drive"),
            "if=pflash,unit=0,format=raw,readonly=on,file=/fw/code.fd\n"
            "if=pflash,unit=1,format=raw,file=/l/m1/firmware.vars\n");
  EXPECT_EQ(values_of(command, "-machine"), "q35,graphics=off\n");
}

TEST(Machine, HttpBootIsPxeSwitchedOff) {
  const auto value = machine({.firmware = Firmware::uefi, .boot = NetworkBoot::http});
  EXPECT_EQ(value.rom, NicRom::none);
  EXPECT_EQ(values_of(qemu_command(value, kFiles, Accelerator::tcg), "-fw_cfg"),
            "name=opt/org.tianocore/IPv4PXESupport,string=n\nname=opt/org.tianocore/IPv6PXESupport,string=n\n");
  const auto by_pxe = machine({.firmware = Firmware::uefi, .rom = NicRom::none});
  EXPECT_EQ(values_of(qemu_command(by_pxe, kFiles, Accelerator::tcg), "-fw_cfg"), "");
}

TEST(Machine, SecureBootNeedsSystemManagementMode) {
  const auto value = machine({.firmware = Firmware::uefi_secure});
  EXPECT_EQ(value.rom, NicRom::none);
  const auto command = qemu_command(value, kFiles, Accelerator::tcg);
  EXPECT_EQ(values_of(command, "-machine"), "q35,graphics=off,smm=on\n");
  EXPECT_THAT(values_of(command, "-global"), HasSubstr("driver=cfi.pflash01,property=secure,value=on\n"));
  EXPECT_THAT(command.arguments, Contains(HasSubstr("romfile=")));
}

TEST(Machine, CommasInPathsDoNotEndAnOption) {
  auto files = kFiles;
  files.qmp_socket = "/l,x=1/qmp.sock";
  EXPECT_THAT(values_of(qemu_command(machine({}), files, Accelerator::tcg), "-chardev"),
              HasSubstr("path=/l,,x=1/qmp.sock,server=on"));
}

TEST(Machine, IdentitiesAreStableAndTheirOwn) {
  std::set<std::string> macs, uuids;
  for (const auto* lab : {"lab1", "lab2"}) {
    for (unsigned number = 1; number <= 200; ++number) {
      const auto value = machine({.nics = 4}, lab, number);
      for (const auto& mac : value.macs) {
        EXPECT_TRUE(mac.starts_with("52:54:")) << mac;
        EXPECT_EQ(mac.size(), 17U);
        macs.insert(mac);
      }
      uuids.insert(value.uuid);
      EXPECT_EQ(value.uuid.size(), 36U);
      EXPECT_EQ(value.uuid[14], '8');
    }
  }
  EXPECT_EQ(macs.size(), 2U * 200 * 4);
  EXPECT_EQ(uuids.size(), 2U * 200);
  EXPECT_EQ(machine({}), machine({}));
}

TEST(Machine, WhatCannotBootIsRefused) {
  EXPECT_FALSE(make_machine("lab1", 1, {.rom = NicRom::none}));
  EXPECT_FALSE(make_machine("lab1", 1, {.firmware = Firmware::uefi_secure, .rom = NicRom::ipxe}));
  EXPECT_FALSE(make_machine("lab1", 1, {.firmware = Firmware::uefi, .rom = NicRom::none, .nic = NicModel::e1000}));
  EXPECT_FALSE(make_machine("lab1", 1, {.boot = NetworkBoot::http}));
  EXPECT_FALSE(make_machine("lab1", 1, {.firmware = Firmware::uefi, .rom = NicRom::ipxe, .boot = NetworkBoot::http}));
  EXPECT_TRUE(make_machine("lab1", 1, {.firmware = Firmware::uefi, .nic = NicModel::e1000}));
  EXPECT_FALSE(make_machine("lab1", 1, {.memory = 64_MiB}));
  EXPECT_FALSE(make_machine("lab1", 201, {}));
  EXPECT_FALSE(make_machine("lab1", 1, {.name = "../m1"}));
  EXPECT_FALSE(make_machine("lab1", 1, {.name = "much-too-long"}));
}

TEST(MachineWish, NamesOnlyWhatDiffers) {
  const auto wish = parse_wish("firmware=uefi,rom=none,boot=http,memory=2GiB,name=db", {.nics = 2, .cpus = 4});
  ASSERT_TRUE(wish) << wish.error().describe();
  EXPECT_EQ(wish->firmware, Firmware::uefi);
  EXPECT_EQ(wish->rom, NicRom::none);
  EXPECT_EQ(wish->boot, NetworkBoot::http);
  EXPECT_EQ(wish->memory, 2_GiB);
  EXPECT_EQ(wish->name, "db");
  EXPECT_EQ(wish->cpus, 4U);
  EXPECT_EQ(wish->nics, 2U);
}

TEST(MachineWish, MistakesAreNamed) {
  for (const auto* text :
       {"firmware=efi", "cpus=0", "cpus=1000", "nics=5", "nics=-1", "memory=much", "colour=red", "uefi", "nic=ne2k"}) {
    const auto wish = parse_wish(text, {});
    ASSERT_FALSE(wish) << text;
    EXPECT_EQ(wish.error().code, ErrorCode::invalid_argument) << text;
  }
}

}  // namespace
}  // namespace bridgehead::lab
