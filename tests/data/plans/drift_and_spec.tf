terraform {
  required_providers {
    fakecloud = { source = "acme/fakecloud", version = "~> 0.1" }
  }
}

resource "fakecloud_bucket" "both" {
  name = "both"
  size = 5
  acl  = "public"
}

resource "fakecloud_bucket" "overwritten" {
  name = "overwritten"
  size = 7
}

resource "fakecloud_bucket" "computed" {
  name = "computed"
  acl  = "public"
}

resource "terraform_data" "other" {
  input = "v2"
}
