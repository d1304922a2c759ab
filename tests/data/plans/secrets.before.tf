variable "token" {
  type      = string
  sensitive = true
}

resource "terraform_data" "masked" {
  input = { user = "app", keys = [var.token, "public"], all = { (var.token) = 1 } }
}

resource "terraform_data" "newly_masked" {
  input = "token-value-one"
}

output "pair" {
  value     = [var.token]
  sensitive = true
}
