terraform {
  required_providers {
    fakecloud = { source = "acme/fakecloud", version = "~> 0.1" }
  }
}

resource "fakecloud_bucket" "base" {
  name = "base"
}

locals {
  base = fakecloud_bucket.base.id
}

module "part" {
  source   = "./part"
  for_each = toset(["x"])
  name     = "part-${local.base}"
}

output "part" {
  value = module.part["x"].id
}

output "local" {
  value = local.base
}
